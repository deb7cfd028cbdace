#!lua flags=allow-oom
--[[ join: registers an incarnation of a node in this shard.
  keys    1 events, 2 leases, 3 nodes
  args    1 event cap, 2 node, 3 lease in ms, 4 what it tells of itself
  reply   server time in ms
  events  node.joined
]]
--@include lib/base.lua
--@include lib/events.lua

local node = ARGV[2]
if redis.call('ZADD', KEYS[2], now + tonumber(ARGV[3]), node) == 1 then
  emit('node.joined', node)
end
redis.call('HSET', KEYS[3], node, now .. ' ' .. now .. ' ' .. ARGV[4])
write_events(ARGV[1])
return tostring(now)
