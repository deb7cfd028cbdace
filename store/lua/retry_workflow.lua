#!lua flags=allow-oom
--[[ retry_workflow: takes a workflow that failed or was cancelled back among the active ones, and has the
     leader try again what did not end well.
  keys    1 events, 2 record (wf:<id>), 3 ended, 4 workflows:active
  args    1 names this call
  reply   {'ok'} | {'unknown'} | {'state', letter of its header} | {'hooks'} (they have not ended)
  events  none (workflow.retrying comes with the leader's turn)
]]
--@include lib/base.lua

local id = string.sub(KEYS[2], -26)
local status, created, ended, removal, call =
  unpack(redis.call('HMGET', KEYS[2], 's', 'c', 'e', 'x', 'y'))
if not status then return { 'unknown' } end
if call == ARGV[1] then return { 'ok' } end
local letter = string.sub(status, 1, 1)
if letter ~= 'F' and letter ~= 'X' then return { 'state', letter } end
-- Parts of it may be gone already.
if removal and removal ~= '0' and tonumber(removal) <= now then return { 'unknown' } end
if redis.call('ZSCORE', KEYS[4], id) then return { 'hooks' } end
if ended then redis.call('ZREM', KEYS[3], ended .. 'w' .. id) end
redis.call('HDEL', KEYS[2], 'e', 'x', 'p', 'z', 'd', 'k')
redis.call('HSET', KEYS[2], 's', 'R' .. string.sub(status, 2), 'y', ARGV[1])
redis.call('HINCRBY', KEYS[2], 'r', 1)
redis.call('ZADD', KEYS[4], created, id)
redis.call('XADD', prefix .. 'inbox', '*', 'b', 'y' .. US .. id)
ring('bell!leader')
return { 'ok' }
