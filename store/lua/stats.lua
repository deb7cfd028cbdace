#!lua flags=no-writes
--[[ stats: how much waits, runs and is kept in a shard, from counters; one step of a walk over the
     lanes in which something waits.
  keys    1 events, 2 waiting, 3 runs, 4 delayed, 5 paused, 6 dead, 7 blocked
  args    1 cursor of the lanes ('0' to begin), 2 about how many to look at, 3 with days (1) or not
  reply   {server time in ms, running, delayed, paused, dead letters, blocked,
           when the oldest job of the tiers high, normal and low came to its lane in ms (-1 none),
           next cursor ('0' at the end), {lane, how many wait in it...},
           {'<day> <letter>', how many ended so on that day since 1970...}}
  events  none
]]
--@include lib/base.lua

local reply = { tostring(now), redis.call('HLEN', KEYS[3]) }
for i = 4, 7 do reply[i - 1] = redis.call('ZCARD', KEYS[i]) end
for _, tier in ipairs({ 'h', 'n', 'l' }) do
  reply[#reply + 1] = redis.call('ZRANGE', prefix .. 'ready:' .. tier, 0, 0, 'WITHSCORES')[2] or '-1'
end
local scan = redis.call('HSCAN', KEYS[2], ARGV[1], 'COUNT', ARGV[2])
reply[#reply + 1] = scan[1]
reply[#reply + 1] = scan[2]
reply[#reply + 1] = ARGV[3] == '1' and redis.call('HGETALL', prefix .. 'stats:days') or {}
return reply
