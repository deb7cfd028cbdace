#!lua
--[[ retry: starts a new generation of up to 100 jobs that are dead or cancelled, each on its own
     terms.
  keys    1 events, then the record (j:<id>) of each job
  args    1 event cap
  reply   for each job two: 'ok', '' | 'unknown', '' | 'state', letter (not dead and not cancelled)
          | 'workflow', '' (a task's job is retried with its workflow) | 'duplicate', holder
  events  job.retrying
]]
--@include lib/base.lua
--@include lib/events.lua
--@include lib/lanes.lua
--@include lib/jobs.lua
--@include lib/arming.lua
--@include lib/auditing.lua

local function retry_job(id)
  local ident, policy = job_header(id)
  if not ident then return 'unknown', '' end
  local state = parse_state(read_state(id))
  if redis.call('HEXISTS', prefix .. 'runs', id) == 1 then return 'state', 'r' end
  if state.letter ~= 'D' and state.letter ~= 'X' then return 'state', state.letter or 'P' end
  if in_workflow(ident) then return 'workflow', '' end
  local unique = policy_field(policy, 'u')
  if unique then
    local holder = redis.call('GET', prefix .. 'unique:' .. unique)
    if holder and holder ~= id then return 'duplicate', holder end
    redis.call('SET', prefix .. 'unique:' .. unique, id)
  end
  redis.call('ZREM', prefix .. 'dead', id)
  state.attempt, state.crashes, state.errors = 0, 0, 0
  if policy_field(policy, 'A') then audit(id) end
  return_to_lane(lane_of(ident), id)
  arm_start(id, policy)
  write_state(id, format_state('P', state, '-', state.tail))
  emit_job('job.retrying', id, detail_of('0', state.run, ident))
  return 'ok', ''
end

local replies = {}
for i = 2, #KEYS do
  replies[2 * i - 3], replies[2 * i - 2] = retry_job(string.sub(KEYS[i], -26))
end
announce_lanes()
write_events(ARGV[1])
return replies
