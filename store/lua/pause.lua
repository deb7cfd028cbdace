#!lua flags=allow-oom
--[[ pause: pauses a job that waits, for its turn or its time. It keeps its unique key. One that is
     paused already is to be resumed as this call says.
  keys    1 events, 2 record (j:<id>)
  args    1 event cap, 2 ms after which it resumes by itself (0: by hand only), 3 reason
  reply   {'ok'} | {'unknown'} | {'state', letter} (it runs, or has ended)
  events  job.paused
]]
--@include lib/base.lua
--@include lib/events.lua
--@include lib/lanes.lua
--@include lib/jobs.lua
--@include lib/leaving.lua
--@include lib/limits.lua

local id, after, reason = string.sub(KEYS[2], -26), tonumber(ARGV[2]), ARGV[3]
local ident, policy = job_header(id)
if not ident then return { 'unknown' } end
if redis.call('HEXISTS', prefix .. 'runs', id) == 1 then return { 'state', 'r' } end
local state = parse_state(read_state(id))
if TERMINAL[state.letter] then return { 'state', state.letter } end
if is_staged(ident) then return { 'unknown' } end
local due = after == 0 and 0 or now + after
leave_place(id, ident, state)
-- What waits for a limit waits no more, and what was granted a slot gives it back.
for _, key in ipairs(limits().keys_of(policy)) do limits().release(key, id, true) end
announce_lanes()
redis.call('ZADD', prefix .. 'paused', now, id)
if after > 0 then
  redis.call('ZADD', prefix .. 'delayed', due, id)
  ring('bell!leader')
end
if policy_field(policy, 'S') then redis.call('ZREM', prefix .. 'timers', 'S' .. id) end
write_state(id, format_state('Z', state, due, reason))
if state.letter ~= 'Z' then
  emit_job('job.paused', id, detail_of(state.attempt, state.run, ident), reason)
end
write_events(ARGV[1])
return { 'ok' }
