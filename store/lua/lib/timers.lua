-- Moments by which something must have happened to a job: the sorted set 'timers', a letter and the
-- id by the moment. S must have started, M must have ended, H its run must have given a sign of life.
-- S is armed when the job is dispatched, M at its first start, H at every start; whoever takes the
-- reason away disarms it.

-- What the leader waits beyond the time that a node enforces by itself, in ms.
local HEARTBEAT_SLACK = 15000

-- Whether a job that is claimed now starts in time. One that does not ends here.
local function starts_in_time(id, record, policy)
  local late
  for _, letter in ipairs({ 'S', 'M' }) do
    local due = not late and policy_field(policy, letter)
      and redis.call('ZSCORE', prefix .. 'timers', letter .. id)
    if due and tonumber(due) <= now then late = letter end
  end
  if not late then return true end
--@include-here lib/lateness.lua
--@include-here lib/endings.lua
--@include-here lib/finishing.lua
  local kind, why = lateness(late, policy)
  local state = parse_state(read_state(id))
  finish_job(id, string.match(record, '^%d+ (%S+)'), policy, state, 'D', kind, why,
    tonumber(ARGV[5]))
  write_endings()
  return false
end

-- Notes that a job starts.
local function start_timers(id, policy)
  local timers = prefix .. 'timers'
  if policy_field(policy, 'S') then redis.call('ZREM', timers, 'S' .. id) end
  local longest, silence = policy_field(policy, 'M'), policy_field(policy, 'H')
  if longest then redis.call('ZADD', timers, 'NX', now + longest, 'M' .. id) end
  if silence then redis.call('ZADD', timers, now + silence + HEARTBEAT_SLACK, 'H' .. id) end
end
