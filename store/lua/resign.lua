#!lua flags=allow-oom
--[[ resign: gives the lock back; the next one may take it at once. Its term stays known.
  keys    1 events, 2 leader
  args    1 term, 2 node, 3 event cap
  reply   1 when it was held
  events  leader.lost
]]
--@include lib/base.lua
--@include lib/events.lua

local lock = redis.call('HMGET', KEYS[2], 'holder', 'term')
if lock[1] ~= ARGV[2] or lock[2] ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], 'holder', '', 'beat', 0)
emit('leader.lost', ARGV[2] .. US .. ARGV[1])
write_events(ARGV[3])
return 1
