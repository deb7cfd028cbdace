#!lua flags=no-writes
--[[ list_limits: the limits that are declared, one step of a walk.
  keys    1 events, 2 limits
  args    1 cursor ('0' to begin), 2 about how many to look at
  reply   {next cursor ('0' at the end), then for each: key, what is declared, holders, parked jobs}
  events  none
]]
--@include lib/base.lua

local scan = redis.call('HSCAN', KEYS[2], ARGV[1], 'COUNT', ARGV[2])
local reply = { scan[1] }
for i = 1, #scan[2], 2 do
  local key = scan[2][i]
  reply[#reply + 1] = key
  reply[#reply + 1] = scan[2][i + 1]
  reply[#reply + 1] = redis.call('ZCARD', prefix .. 'held:' .. key)
  reply[#reply + 1] = redis.call('ZCARD', prefix .. 'blocked:' .. key)
end
return reply
