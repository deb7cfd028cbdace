#!lua flags=no-writes
--[[ get: reads up to 100 jobs, each as of one moment.
  keys    1 events, 2 runs, then for each job its record (j:<id>) and its state (s:<id>)
  args    none
  reply   for each job: record, state, run token; '' where there is none
  events  none
]]
local replies = {}
if #KEYS > 2 then
  local ids = {}
  for i = 3, #KEYS, 2 do ids[#ids + 1] = string.sub(KEYS[i], -26) end
  local values = redis.call('MGET', unpack(KEYS, 3))
  local tokens = redis.call('HMGET', KEYS[2], unpack(ids))
  for i = 1, #ids do
    replies[#replies + 1] = values[2 * i - 1] or ''
    replies[#replies + 1] = values[2 * i] or ''
    replies[#replies + 1] = tokens[i] or ''
  end
end
return replies
