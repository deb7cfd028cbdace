#!lua flags=allow-oom
--[[ ack_signal: takes a signal that a caller has read, so that no task takes it.
  keys    1 events, 2 record (wf:<id>), 3 pending signals (sg:<id>)
  args    1 number
  reply   1 taken | 0 it is not pending (any more)
  events  none
]]
--@include lib/base.lua

if redis.call('HDEL', KEYS[3], ARGV[1]) == 0 then return 0 end
redis.call('HDEL', KEYS[2], 'g' .. ARGV[1])
-- No commit of a picture in which it was pending may hand it to a task.
redis.call('HINCRBY', KEYS[2], 'r', 1)
return 1
