#!lua flags=allow-oom
--[[ steer: pauses or resumes a tier or a task type, or sets the rate of a tier; claims obey from now on.
  keys    1 events, 2 steering
  args    1 field (see lib/steering.lua), 2 its value ('' for none)
  reply   1 when it changed something
  events  none
]]
--@include lib/base.lua
--@include lib/lanes.lua
--@include lib/jobs.lua
--@include lib/waking.lua

local field, value = ARGV[1], ARGV[2]
local before = redis.call('HGET', KEYS[2], field) or ''
if before == value then return 0 end
local kind, name = string.sub(field, 1, 1), string.sub(field, 2)
if value == '' then
  redis.call('HDEL', KEYS[2], field)
  if kind == 'r' then redis.call('HDEL', KEYS[2], 'b' .. name) end
else
  redis.call('HSET', KEYS[2], field, value)
end
-- Whoever may go on is told; of a pause nobody needs to hear.
if kind == 'P' then
  if value == '' then ring('bell:' .. name) end
elseif kind == 'r' or value == '' then
  ring_tier(name)
end
return 1
