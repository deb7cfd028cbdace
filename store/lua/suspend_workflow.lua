#!lua flags=allow-oom
--[[ suspend_workflow: lets a running workflow dispatch nothing new until it is resumed.
  keys    1 events, 2 record (wf:<id>)
  args    1 event cap
  reply   {'ok', 1 now | 0 it was suspended already} | {'unknown'} | {'state', letter of its header}
  events  workflow.suspended
]]
--@include lib/base.lua
--@include lib/events.lua
--@include lib/suspending.lua

local status = redis.call('HGET', KEYS[2], 's')
if not status then return { 'unknown' } end
local letter = string.sub(status, 1, 1)
if letter ~= 'R' and letter ~= 'W' then return { 'state', letter } end
if redis.call('HSETNX', KEYS[2], 'z', now) == 0 then return { 'ok', 0 } end
tell_changed('workflow.suspended')
return { 'ok', 1 }
