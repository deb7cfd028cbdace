#!lua flags=allow-oom
--[[ beat: renews the lease of a node and brings back what is meant for it: whether it should claim
     no more (see drain), and cancellations.
  keys    1 events, 2 leases, 3 nodes
  args    1 node, 2 lease in ms, 3 what it tells of itself ('' as before)
  reply   {server time in ms, 1 while it is drained else 0, for each running job to cancel: id, ' ',
           run...}
          | {'gone'} (its lease ended and its runs are others' now, or the data is gone)
  events  none
]]
--@include lib/base.lua

local node = ARGV[1]
if not redis.call('ZSCORE', KEYS[2], node) then return { 'gone' } end
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[2]), node)
if ARGV[3] ~= '' then
  local joined = string.match(redis.call('HGET', KEYS[3], node) or '', '^%d+') or now
  redis.call('HSET', KEYS[3], node, joined .. ' ' .. now .. ' ' .. ARGV[3])
end
local reply = { tostring(now), redis.call('SISMEMBER', prefix .. 'draining', node) }
for _, id in ipairs(redis.call('SRANDMEMBER', prefix .. 'cancels:' .. node, 100)) do
  reply[#reply + 1] = id
  -- Its run was ended already, so no settle of it will take the order back.
  if redis.call('HEXISTS', prefix .. 'runs', string.sub(id, 1, 26)) == 0 then
    redis.call('SREM', prefix .. 'cancels:' .. node, id)
  end
end
return reply
