#!lua flags=allow-oom
--[[ cancel_workflow: asks the leader to cancel a workflow, or what it goes on as before the
     leader has heard of it.
  keys    1 events, 2 record (wf:<id>)
  args    1 reason
  reply   {'ok'} | {'unknown'} | {'ended', letter}
  events  none (workflow.cancelled comes when its tasks have ended)
]]
--@include lib/base.lua

local status = redis.call('HGET', KEYS[2], 's')
if not status then return { 'unknown' } end
local letter = string.sub(status, 1, 1)
if letter == 'C' or letter == 'F' or letter == 'X' or letter == 'N' then return { 'ended', letter } end
redis.call('HSET', KEYS[2], 'k', ARGV[1])
redis.call('XADD', prefix .. 'inbox', '*', 'b',
  'c' .. US .. string.sub(KEYS[2], -26) .. US .. ARGV[1])
ring('bell!leader')
return { 'ok' }
