#!lua
--[[ accept_batch: accepts a batch whose items are all kept; the leader starts it.
  keys    1 events, 2 record (bt:<id>), 3 definition (bd:<id>), 4 items (bi:<id>), 5 ended,
          6 batches:active
  args    1 definition without items, 2 first header, 3 number of items, 4 number of their blocks
  reply   1 accepted | 0 it was before | -1 not all of its items are kept
  events  none (batch.started comes with the start)
]]
--@include lib/base.lua

local id = string.sub(KEYS[2], -26)
local accepted, since = unpack(redis.call('HMGET', KEYS[2], 'r', 'u'))
if accepted then return 0 end
if redis.call('HLEN', KEYS[4]) ~= tonumber(ARGV[4]) then return -1 end
redis.call('SET', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[2], 'u')
redis.call('HSET', KEYS[2], 'r', 0, 's', ARGV[2], 'n', ARGV[3], 'c', now)
redis.call('ZREM', KEYS[5], since .. 'b' .. id)
redis.call('ZADD', KEYS[6], now, id)
redis.call('XADD', prefix .. 'inbox', '*', 'b', 's' .. US .. '#' .. id)
ring('bell!leader')
return 1
