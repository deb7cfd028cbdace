#!lua
--[[ put_schedule: creates a schedule, or changes the one of this id.
  keys    1 events
  args    1 event cap, 2 id, 3 definition, 4 revision that the caller saw ('' none), 5 scheduled
          time of the next firing ('=' stays as it is), 6 what its moments are counted from,
          7 provider ('' none)
  reply   {'created'} | {'updated'} | {'same'} (it is so already) | {'changed'} (read it again)
          | {'owned', provider} (it is not this provider's)
  events  schedule.created, schedule.updated
]]
--@include lib/base.lua
--@include lib/events.lua
--@include lib/jobs.lua
--@include lib/schedules.lua

local id, definition, seen, next, provider = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[7]
local record = schedule_key(id)
local found = redis.call('HMGET', record, 'r', 'd', 'v', 'p')
if found[1] then
  if found[2] == definition then return { 'same' } end
  if provider ~= '' and found[3] ~= provider then return { 'owned', found[3] or '' } end
  if found[1] ~= seen then return { 'changed' } end
elseif seen ~= '' then
  return { 'changed' }
end

redis.call('HSET', record, 'd', definition, 'r', new_revision())
if next ~= '=' then
  redis.call('HSET', record, 'n', next, 'o', ARGV[6])
  if found[4] ~= '1' then
    look_at(id, next)
    ring('bell!leader')
  end
end
if found[3] and found[3] ~= provider then
  redis.call('SREM', prefix .. 'periodic:' .. found[3], id)
  redis.call('HDEL', record, 'v')
end
if provider ~= '' then
  redis.call('SADD', prefix .. 'periodic:' .. provider, id)
  redis.call('HSET', record, 'v', provider)
end
local answer = 'updated'
if found[1] then
  emit('schedule.updated', id)
else
  answer = 'created'
  redis.call('HSET', record, 'c', now)
  redis.call('ZADD', prefix .. 'schedules', now, id)
  emit('schedule.created', id)
end
write_events(ARGV[1])
return { answer }
