#!lua
--[[ submit_workflow: accepts a workflow; the leader starts it.
  keys    1 events, 2 definition (wd:<id>), 3 record (wf:<id>)
  args    1 definition and input, 2 first header
  reply   1 created | 0 sent before
  events  none (workflow.started comes with the start)
]]
--@include lib/base.lua

local id = string.sub(KEYS[3], -26)
if redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
redis.call('SET', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[3], 'r', 0, 's', ARGV[2], 'c', now)
redis.call('ZADD', prefix .. 'workflows:active', now, id)
redis.call('XADD', prefix .. 'inbox', '*', 'b', 's' .. US .. id)
ring('bell!leader')
return 1
