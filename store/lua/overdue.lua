#!lua flags=no-writes
--[[ overdue: workflows whose deadline has passed.
  keys    1 events, 2 workflows:deadlines
  args    1 most to name
  reply   ids, longest overdue first
  events  none
]]
--@include lib/base.lua

return redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, tonumber(ARGV[1]))
