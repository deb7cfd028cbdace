#!lua flags=allow-oom
--[[ hold: raises the leader's beat.
  keys    1 events, 2 leader
  args    1 term, 2 node
  reply   {'ok'} | {'lost'} (another leads, or the data is gone)
  events  none
]]
local lock = redis.call('HMGET', KEYS[2], 'holder', 'term')
if lock[1] ~= ARGV[2] or lock[2] ~= ARGV[1] then return { 'lost' } end
redis.call('HINCRBY', KEYS[2], 'beat', 1)
return { 'ok' }
