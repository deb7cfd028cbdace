#!lua flags=allow-oom
--[[ requeue: brings a job to its lane now, without using an attempt. One that runs is asked to
     stop, and goes to its lane when its handler has, unless it completed.
  keys    1 events, 2 record (j:<id>)
  args    1 event cap
  reply   {'ok'} (it waits in its lane, or for a limit) | {'requested'} (it runs) | {'unknown'}
          | {'state', letter} (it has ended) | {'stopping'} (it runs, and was to end for another
          reason)
  events  job.dispatched, job.resumed
]]
--@include lib/base.lua
--@include lib/events.lua
--@include lib/lanes.lua
--@include lib/jobs.lua
--@include lib/arming.lua
--@include lib/leaving.lua

local id = string.sub(KEYS[2], -26)
local ident, policy = job_header(id)
if not ident then return { 'unknown' } end
local token = redis.call('HGET', prefix .. 'runs', id)
if token then
  local doom = redis.call('HGET', prefix .. 'doomed', id)
  local stopping = CANCELLING[string.sub(token, 1, 1)]
  if stopping and (not doom or string.sub(doom, 1, 1) ~= 'L') then return { 'stopping' } end
  ask_to_stop(id, token, 'L')
  return { 'requested' }
end
local state = parse_state(read_state(id))
local letter = state.letter
if TERMINAL[letter] then return { 'state', letter } end
if not letter or letter == 'P' or letter == 'B' then return { 'ok' } end
leave_place(id, ident, state)
if letter == 'Z' then state.errors = 0 end
return_to_lane(lane_of(ident), id)
arm_start(id, policy)
write_state(id, format_state('P', state, '-', state.tail))
emit_job(letter == 'Z' and 'job.resumed' or 'job.dispatched', id,
  detail_of(state.attempt, state.run, ident))
announce_lanes()
write_events(ARGV[1])
return { 'ok' }
