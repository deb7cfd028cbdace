#!lua flags=allow-oom
--[[ expire_nodes: declares nodes dead whose lease ran out. Their settlements are refused as soon
     as their runs are recovered; they cannot claim from now on.
  keys    1 events, 2 leases, 3 nodes, 4 leader
  args    1 term, 2 event cap, 3 most to expire
  reply   {'ok', node...} | {'fenced', newest term}
  events  node.crash_detected
]]
--@include lib/base.lua
--@include lib/events.lua
--@include lib/term.lua

local refusal = fenced()
if refusal then return refusal end
local dead = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, tonumber(ARGV[3]))
for _, node in ipairs(dead) do
  redis.call('ZREM', KEYS[2], node)
  redis.call('HDEL', KEYS[3], node)
  redis.call('DEL', prefix .. 'turn:' .. node, prefix .. 'cancels:' .. node)
  redis.call('SREM', prefix .. 'draining', node)
  emit('node.crash_detected', node)
end
if #dead > 0 then redis.call('INCR', prefix .. 'recovering') end
write_events(ARGV[2])
return { 'ok', unpack(dead) }
