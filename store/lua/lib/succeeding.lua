--@include lib/accepting.lua
-- Makes the instance that another one goes on as: with its definition and its origin, and the result of
-- a job as the input. The script that lets the old one end does it, so that whoever follows from one
-- to the next never finds a gap.
local function succeed(from, to, job)
  local definition = redis.call('GET', prefix .. 'wd:' .. from)
  if not definition then return end
  local length, text = string.match(definition, '^(%d+)\n()')
  local state = read_state(job)
  local input = state and string.match(state, '^C[^\n]*\n(.*)$') or ''
  local origin, cancelled, line = unpack(redis.call('HMGET', prefix .. 'wf:' .. from, 'o', 'k', 'l'))
  local made = accept_workflow(to, string.sub(definition, 1, text - 1 + tonumber(length)) .. input,
    'P {"stage":"pending"}', origin or '', from)
  if made then
    -- Whoever knows the first of the line alone finds the newest, however old the first is.
    redis.call('HSET', prefix .. 'wf:' .. to, 'l', line or from)
    redis.call('HSET', prefix .. 'lines', line or from, to)
  end
  if made and cancelled then
    -- Somebody was promised that it ends, and the leader hears of that only now.
    redis.call('HSET', prefix .. 'wf:' .. to, 'k', cancelled)
    redis.call('XADD', prefix .. 'inbox', '*', 'b', 'c' .. US .. to .. US .. cancelled)
  end
end
