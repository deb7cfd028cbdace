-- Records of jobs.
-- j:<id>  '<created ms> <ident> <policy>\n<body>', written once but for the payload. ident: lane, and
--         for a workflow's job US workflow US task US iteration, for a batch's US '#' batch US
--         place ':' item US iteration. policy: '-' or fields joined by US, one letter each: a max attempts, u unique key, l limit, S schedule-to-start timeout, M max duration,
--         H heartbeat timeout (all three in ms), F schedule that fired, A audited, t tag,
--         U upstream jobs (last).
-- s:<stem> a hash, last character of the id to the state of the job, '<letter> <attempt> <run>
--         <crashes> <errors> <at ms> <x> <rest>\n<tail>', absent until the first claim has ended,
--         unless it was delayed, cancelled or parked before.
--         letter: P waiting, B parked at a limit, S scheduled, R retrying, Z paused, C completed,
--         K skipped, D dead, X cancelled. x: '-' of P, 'g' in the lane of those that were granted
--         slots; the key that it is parked at of B; due time of S, R (and Z, 0 when resumed by hand only), time of
--         removal of C, K, D, X (0: kept).
--         tail: result of C, else why. rest: 'f<run>', the newest run whose end was refused, 'n' of a
--         task's job after which its workflow goes on as a new one, and fields of newer versions, kept
--         as they are.
-- runs    a hash, id to '<flag><node> <claimed ms> <attempt>US<run>', the token of the run. flag:
--         '.' a job without a state record, ':' with one; once asked to stop 'c' and 'C'. Runs that
--         one call began may share a token: it is proof together with the id.
local TERMINAL = { C = true, K = true, D = true, X = true }

-- Ident and policy of a job; none without a record. Most fit into the first 4 KiB; what may be
-- longer and is wanted are tags, as the upstream jobs behind them are read by nobody here.
local function job_header(id)
  local size = 4096
  repeat
    local text = redis.call('GETRANGE', prefix .. 'j:' .. id, 0, size - 1)
    local ident, policy = string.match(text, '^%d+ (%S+) (%S+)')
    if #text < size or string.find(text, '\n', 1, true)
      or (policy and string.find('\31' .. policy, '\31U', 1, true)) then
      return ident, policy
    end
    size = size * 8
  until false
end

local CANCELLING = { c = true, C = true }

-- A token as the claim handed it out, whether its job was asked to stop since or not.
local function as_claimed(token)
  local flag = string.sub(token, 1, 1)
  if not CANCELLING[flag] then return token end
  return (flag == 'C' and ':' or '.') .. string.sub(token, 2)
end

local function detail_of(attempt, run, ident)
  return attempt .. US .. run .. US .. ident
end

local function lane_of(ident)
  return string.match(ident, '^[^\31]+')
end

-- The lane that a job stands in which waits.
local function waits_in(ident, state)
  return state.x == 'g' and lane_of(ident) .. ',g' or lane_of(ident)
end

-- Whether it belongs to a workflow or a batch.
local function in_workflow(ident)
  return string.find(ident, US, 1, true) ~= nil
end

-- Whether a job is an item of a batch whose turn has not come: it waits in no lane, see batches.lua.
local function is_staged(ident)
  local batch, place = string.match(ident, '\31#(%w+)\31(%d+):')
  if not batch or tonumber(place) >= 4294967288 then return false end
  local letter = redis.call('GETRANGE', prefix .. 'bs:' .. batch, 2 * place, 2 * place)
  return letter ~= 'd' and letter ~= 'x'
end

local function policy_field(policy, letter)
  for field in string.gmatch(policy, '[^\31]+') do
    if string.sub(field, 1, 1) == letter then return string.sub(field, 2) end
  end
end

-- A state as a table; what a job without a state record has by default.
local function parse_state(text)
  if not text or text == '' then
    return { attempt = 0, run = 0, crashes = 0, errors = 0, at = 0, x = '-', rest = '', tail = '' }
  end
  local letter, attempt, run, crashes, errors, at, x, rest, tail =
    string.match(text, '^(%a) (%d+) (%d+) (%d+) (%d+) (%d+) (%S+)([^\n]*)\n(.*)$')
  return { letter = letter, attempt = tonumber(attempt), run = tonumber(run),
    crashes = tonumber(crashes), errors = tonumber(errors), at = tonumber(at), x = x,
    rest = rest, tail = tail }
end

local function format_state(letter, state, x, tail)
  return letter .. ' ' .. state.attempt .. ' ' .. state.run .. ' ' .. state.crashes .. ' '
    .. state.errors .. ' ' .. now .. ' ' .. x .. state.rest .. '\n' .. tail
end

-- States, each by its stem: jobs that stand together mostly ended together.
local function read_state(id)
  return redis.call('HGET', prefix .. 's:' .. stem_of(id), string.sub(id, 26))
end

local function write_state(id, text)
  redis.call('HSET', prefix .. 's:' .. stem_of(id), string.sub(id, 26), text)
end

-- The states of ids, in their order; false where there is none.
local function read_states(ids)
  local states, first = {}, 1
  while first <= #ids do
    local stem, last = stem_of(ids[first]), first
    while ids[last + 1] and stem_of(ids[last + 1]) == stem do last = last + 1 end
    local fields = {}
    for place = first, last do fields[#fields + 1] = string.sub(ids[place], 26) end
    for i, state in ipairs(redis.call('HMGET', prefix .. 's:' .. stem, unpack(fields))) do
      states[first + i - 1] = state
    end
    first = last + 1
  end
  return states
end
