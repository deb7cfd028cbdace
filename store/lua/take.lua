#!lua flags=allow-oom
--[[ take: makes a node the leader of the shard, if the lock stands as the node saw it.
  keys    1 events, 2 leader
  args    1 event cap, 2 node, 3 seen term ('' none), 4 seen beat, 5 highest term known
  reply   {'ok', term} | {'taken', holder, term, beat}
  events  leader.elected
]]
--@include lib/base.lua
--@include lib/events.lua

local lock = redis.call('HMGET', KEYS[2], 'holder', 'term', 'beat')
local holder, term, beat = lock[1], lock[2], lock[3]
local node = ARGV[2]
-- A reply that was lost: this node has the lock already.
if holder == node then return { 'ok', term } end
local free = not term or holder == ''
local as_seen = term and term == ARGV[3] and beat == ARGV[4]
if not free and not as_seen then return { 'taken', holder, term, beat } end
-- Beyond every term that anybody remembers, even after the data was lost.
local next_term = string.format('%.0f', math.max(tonumber(term or 0), tonumber(ARGV[5])) + 1)
redis.call('HSET', KEYS[2], 'holder', node, 'term', next_term, 'beat', 0)
emit('leader.elected', node .. US .. next_term)
write_events(ARGV[1])
return { 'ok', next_term }
