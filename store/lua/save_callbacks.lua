#!lua flags=allow-oom
--[[ save_callbacks: notes how far a node has handed the events of this shard to its callbacks.
  keys    1 events, 2 callbacks
  args    1 node, 2 id of the entry that was reached, 3 index in it, 4 events that were passed,
          5 1 when the node gives the callbacks back
  reply   {'ok'} | {'lost', holder ('' none)} (nothing was noted: another goes on from the last note)
  events  none
]]
--@include lib/base.lua

local holder = redis.call('HGET', KEYS[2], 'holder') or ''
if holder ~= ARGV[1] then return { 'lost', holder } end
redis.call('HSET', KEYS[2], 'holder', ARGV[5] == '1' and '' or ARGV[1], 'entry', ARGV[2],
  'index', ARGV[3], 'passed', ARGV[4])
return { 'ok' }
