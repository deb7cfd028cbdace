#!lua flags=allow-oom
--[[ resume_workflow: lets a suspended workflow go on.
  keys    1 events, 2 record (wf:<id>)
  args    1 event cap
  reply   {'ok', 1 now | 0 it was not suspended} | {'unknown'} | {'state', letter of its header}
  events  workflow.resumed
]]
--@include lib/base.lua
--@include lib/events.lua
--@include lib/suspending.lua

local status = redis.call('HGET', KEYS[2], 's')
if not status then return { 'unknown' } end
local letter = string.sub(status, 1, 1)
if letter ~= 'R' and letter ~= 'W' then return { 'state', letter } end
if redis.call('HDEL', KEYS[2], 'z') == 0 then return { 'ok', 0 } end
tell_changed('workflow.resumed')
return { 'ok', 1 }
