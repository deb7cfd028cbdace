#!lua flags=no-writes
--[[ get: reads up to 100 jobs, each as of one moment.
  keys    1 events, 2 runs, 3 progress, then the record (j:<id>) of each job
  args    none
  reply   for each job: record, state, run token, progress; '' where there is none
  events  none
]]
--@include lib/base.lua
--@include lib/packs.lua
--@include lib/jobs.lua

local replies = {}
if #KEYS > 3 then
  local ids = {}
  for i = 4, #KEYS do ids[#ids + 1] = string.sub(KEYS[i], -26) end
  local records = redis.call('MGET', unpack(KEYS, 4))
  local states = read_states(ids)
  local tokens = redis.call('HMGET', KEYS[2], unpack(ids))
  local progress = redis.call('HMGET', KEYS[3], unpack(ids))
  for i = 1, #ids do
    replies[#replies + 1] = records[i] or ''
    replies[#replies + 1] = states[i] or ''
    replies[#replies + 1] = tokens[i] or ''
    replies[#replies + 1] = progress[i] or ''
  end
end
return replies
