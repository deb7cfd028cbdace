#!lua flags=allow-oom
--[[ cancel_batch: asks the leader to cancel a batch.
  keys    1 events, 2 record (bt:<id>)
  args    1 reason
  reply   {'ok'} | {'unknown'} | {'ended', letter}
  events  none (batch.cancelled comes when its items have ended)
]]
--@include lib/base.lua

local status = redis.call('HGET', KEYS[2], 's')
if not status then return { 'unknown' } end
local letter = string.sub(status, 1, 1)
if letter == 'C' or letter == 'F' or letter == 'X' then return { 'ended', letter } end
redis.call('HSET', KEYS[2], 'k', ARGV[1])
redis.call('XADD', prefix .. 'inbox', '*', 'b',
  'c' .. US .. '#' .. string.sub(KEYS[2], -26) .. US .. ARGV[1])
ring('bell!leader')
return { 'ok' }
