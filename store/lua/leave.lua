#!lua flags=allow-oom
--[[ leave: takes a node that stops out of this shard. What it still holds is recovered.
  keys    1 events, 2 leases, 3 nodes
  args    1 event cap, 2 node
  reply   1 when it was registered
  events  node.left
]]
--@include lib/base.lua
--@include lib/events.lua

local node = ARGV[2]
local left = redis.call('ZREM', KEYS[2], node)
redis.call('HDEL', KEYS[3], node)
redis.call('DEL', prefix .. 'turn:' .. node, prefix .. 'cancels:' .. node)
redis.call('SREM', prefix .. 'draining', node)
if left == 1 then
  emit('node.left', node)
  write_events(ARGV[1])
  redis.call('INCR', prefix .. 'recovering')
  ring('bell!leader')
end
return left
