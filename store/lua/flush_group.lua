#!lua flags=allow-oom
--[[ flush_group: makes a job of what stands in one group now, before it is due.
  keys    1 events, 2 messages (group:<name>), 3 head (group:<name>:head), 4 groups:due,
          5 record of the job (j:<id>)
  args    1 event cap
  reply   {'ok'} | {'empty'} (nothing stands)
  events  job.enqueued
]]
--@include lib/base.lua
--@include lib/events.lua
--@include lib/lanes.lua
--@include lib/jobs.lua
--@include lib/making.lua
--@include lib/groups.lua

-- The reply was lost.
if redis.call('EXISTS', KEYS[5]) == 1 then return { 'ok' } end
local name = string.sub(KEYS[2], #prefix + #'group:' + 1)
if not flush_group(name, string.sub(KEYS[5], -26)) then return { 'empty' } end
announce_lanes()
write_events(ARGV[1])
return { 'ok' }
