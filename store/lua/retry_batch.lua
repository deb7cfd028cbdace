#!lua flags=allow-oom
--[[ retry_batch: takes a batch that failed or was cancelled back among the active ones, and has the leader
     try it again.
  keys    1 events, 2 record (bt:<id>), 3 ended, 4 batches:active
  args    1 names this call, 2 '1' only what did not complete, '0' everything, 3 most attempts
  reply   {'ok'} | {'unknown'} | {'state', letter of its header} | {'often'} (no attempt is left)
  events  none (batch.retrying comes with the leader's turn)
]]
--@include lib/base.lua

local id = string.sub(KEYS[2], -26)
local status, created, ended, removal, call =
  unpack(redis.call('HMGET', KEYS[2], 's', 'c', 'e', 'x', 'y'))
if not status then return { 'unknown' } end
local this = ARGV[1] .. ' ' .. ARGV[2]
if call == this then return { 'ok' } end
local letter = string.sub(status, 1, 1)
if letter ~= 'F' and letter ~= 'X' then return { 'state', letter } end
-- Parts of it may be gone already.
if removal and removal ~= '0' and tonumber(removal) <= now then return { 'unknown' } end
local attempt = tonumber(string.match(status, '"attempt":(%d+)'))
if attempt >= tonumber(ARGV[3]) then return { 'often' } end
if ended then redis.call('ZREM', KEYS[3], ended .. 'b' .. id) end
redis.call('HDEL', KEYS[2], 'e', 'x', 'd', 'k')
redis.call('HSET', KEYS[2], 's', 'R' .. string.sub(status, 2), 'y', this)
redis.call('HINCRBY', KEYS[2], 'r', 1)
redis.call('ZADD', KEYS[4], created, id)
redis.call('XADD', prefix .. 'inbox', '*', 'b', 'y' .. US .. '#' .. id .. US .. ARGV[2])
ring('bell!leader')
return { 'ok' }
