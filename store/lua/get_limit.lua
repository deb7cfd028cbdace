#!lua flags=no-writes
--[[ get_limit: a limit, and who holds it.
  keys    1 events, 2 limits
  args    1 key, 2 most holders to name
  reply   {what is declared ('' nothing), holders, parked jobs, {id, score of each that is named}}
  events  none
]]
--@include lib/base.lua

local key = ARGV[1]
local held = prefix .. 'held:' .. key
return { redis.call('HGET', KEYS[2], key) or '', redis.call('ZCARD', held),
  redis.call('ZCARD', prefix .. 'blocked:' .. key),
  redis.call('ZRANGE', held, 0, tonumber(ARGV[2]) - 1, 'WITHSCORES') }
