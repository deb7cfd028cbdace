-- How a job leaves the place where it stands.

-- Takes a job that does not run and has not ended from where it waits.
local function leave_place(id, ident, state)
  local letter = state.letter
  if letter == 'S' or letter == 'R' then
    redis.call('ZREM', prefix .. 'delayed', id)
  elseif letter == 'Z' then
    redis.call('ZREM', prefix .. 'delayed', id)
    redis.call('ZREM', prefix .. 'paused', id)
  elseif letter ~= 'B' then
    leave_lane(waits_in(ident, state), id)
  end
end

-- Asks the node of a running job to stop it. What becomes of the job then is in the hash 'doomed', id
-- to '<code> <why>': D dead, L back to its lane; without an entry it ends cancelled.
local function ask_to_stop(id, token, doom)
  if doom then redis.call('HSET', prefix .. 'doomed', id, doom) end
  local flag, node = string.sub(token, 1, 1), string.sub(token, 2, 27)
  local run = string.match(token, '\31(%d+)$')
  if CANCELLING[flag] then return end
  redis.call('HSET', prefix .. 'runs', id, (flag == ':' and 'C' or 'c') .. string.sub(token, 2))
  redis.call('SADD', prefix .. 'cancels:' .. node, id .. ' ' .. run)
  redis.call('PUBLISH', prefix .. 'cancel:' .. node, id .. ' ' .. run)
end
