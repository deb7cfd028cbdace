#!lua flags=allow-oom
--[[ resume: puts a paused job back into its lane.
  keys    1 events, 2 record (j:<id>)
  args    1 event cap
  reply   {'ok'} | {'unknown'} | {'state', letter} (not paused)
  events  job.resumed
]]
--@include lib/base.lua
--@include lib/events.lua
--@include lib/lanes.lua
--@include lib/jobs.lua
--@include lib/arming.lua

local id = string.sub(KEYS[2], -26)
local ident, policy = job_header(id)
if not ident then return { 'unknown' } end
local state = parse_state(read_state(id))
if redis.call('HEXISTS', prefix .. 'runs', id) == 1 then return { 'state', 'r' } end
if state.letter ~= 'Z' then return { 'state', state.letter or 'P' } end
redis.call('ZREM', prefix .. 'paused', id)
redis.call('ZREM', prefix .. 'delayed', id)
state.errors = 0
return_to_lane(lane_of(ident), id)
arm_start(id, policy)
write_state(id, format_state('P', state, '-', state.tail))
emit_job('job.resumed', id, detail_of(state.attempt, state.run, ident))
announce_lanes()
write_events(ARGV[1])
return { 'ok' }
