#!lua flags=allow-oom
--[[ take_callbacks: lets a node hand the events of this shard to its callbacks, unless another one
     that is alive does. The first of all begins at the present end of the log.
  keys    1 events, 2 leases, 3 callbacks
  args    1 node
  reply   {'ok', id of the entry that was reached, index in it, events that were passed}
          | {'held', holder} | {'gone'} (the lease of the node has ended)
  events  none
]]
--@include lib/base.lua

local node = ARGV[1]
if not redis.call('ZSCORE', KEYS[2], node) then return { 'gone' } end
local record = redis.call('HMGET', KEYS[3], 'holder', 'entry', 'index', 'passed')
local holder, entry, index, passed = record[1], record[2], record[3], record[4]
if holder and holder ~= '' and holder ~= node then
  local lease = redis.call('ZSCORE', KEYS[2], holder)
  if lease and tonumber(lease) >= now then return { 'held', holder } end
end
if not entry then
  local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
  -- Past whatever that entry holds.
  entry, index = last and last[1] or '0-0', last and '4294967295' or '0'
  passed = redis.call('GET', prefix .. 'events:count') or '0'
end
redis.call('HSET', KEYS[3], 'holder', node, 'entry', entry, 'index', index, 'passed', passed)
return { 'ok', entry, index, passed }
