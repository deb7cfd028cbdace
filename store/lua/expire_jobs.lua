#!lua flags=allow-oom
--[[ expire_jobs: sees to jobs whose timers have passed. One that did not start or end in time is
     dead; if it runs, it is asked to stop, and is dead then. A run without a sign of life is taken
     from its node, as if that were lost.
  keys    1 events, 2 runs, 3 timers, 4 leader
  args    1 term, 2 event cap, 3 most to look at, 4 most crashes of a job, 5 retention of dead jobs
          in ms
  reply   {'ok', timers seen to, ms until the next (-1 none)} | {'fenced', newest term}
  events  job.schedule_to_start_timeout, job.dead, job.auto_recovered, job.cancelled
]]
--@include lib/base.lua
--@include lib/events.lua
--@include lib/lanes.lua
--@include lib/jobs.lua
--@include lib/leaving.lua
--@include lib/finishing.lua
--@include lib/lateness.lua
--@include lib/recovering.lua
--@include lib/term.lua

local refusal = fenced()
if refusal then return refusal end
local max_crashes, retention = tonumber(ARGV[4]), tonumber(ARGV[5])

-- A running job: `letter` is that of its timer.
local function expire_run(letter, id, token, policy)
  if letter == 'H' then
    local node = string.sub(token, 2, 27)
    take_run(id, token, 'no heartbeat: node_' .. node .. ' runs the job, and no sign of life came for '
      .. policy_field(policy, 'H') .. ' ms', max_crashes, retention)
  elseif letter == 'M' then
    -- Who cancelled it before has the last word.
    local cancelled = CANCELLING[string.sub(token, 1, 1)]
      and redis.call('HEXISTS', prefix .. 'doomed', id) == 0
    if not cancelled then
      local _, why = lateness('M', policy)
      ask_to_stop(id, token, 'D ' .. why)
    end
  end
end

local timers = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, tonumber(ARGV[3]))
for _, timer in ipairs(timers) do
  local letter, id = string.sub(timer, 1, 1), string.sub(timer, 2)
  local ident, policy = job_header(id)
  if ident then
    local token = redis.call('HGET', KEYS[2], id)
    local state = parse_state(read_state(id))
    if token then
      expire_run(letter, id, token, policy)
    elseif letter ~= 'H' and not TERMINAL[state.letter] then
      local kind, why = lateness(letter, policy)
      leave_place(id, ident, state)
      finish_job(id, ident, policy, state, 'D', kind, why, retention)
    end
  end
end
if #timers > 0 then redis.call('ZREM', KEYS[3], unpack(timers)) end
announce_lanes()
write_endings()
write_events(ARGV[2])
local first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')[2]
return { 'ok', #timers, first and math.max(0, tonumber(first) - now) or -1 }
