#!lua flags=allow-oom
--[[ drain: tells a node to claim no more, or to claim again. Its next beat in this shard brings it.
     The flag goes with the incarnation: when it leaves, or is declared dead.
  keys    1 events, 2 leases, 3 draining
  args    1 node, 2 1 to drain or 0 to claim again
  reply   {'ok'} | {'gone'} (no such node, or its lease has ended)
  events  none
]]
--@include lib/base.lua

local node = ARGV[1]
if not redis.call('ZSCORE', KEYS[2], node) then return { 'gone' } end
redis.call(ARGV[2] == '1' and 'SADD' or 'SREM', KEYS[3], node)
return { 'ok' }
