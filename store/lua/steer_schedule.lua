#!lua flags=allow-oom
--[[ steer_schedule: pauses, resumes or deletes a schedule. A job of it goes on.
  keys    1 events
  args    1 event cap, 2 id, 3 'pause', 'resume' or 'delete', 4 revision that the caller saw ('' any),
          5 for resume: scheduled time of the next firing ('' none), 6 for delete: why
  reply   {'ok'} | {'unknown'} | {'changed'} (read it again)
  events  schedule.paused, schedule.resumed, schedule.removed
]]
--@include lib/base.lua
--@include lib/events.lua
--@include lib/jobs.lua
--@include lib/schedules.lua
--@include lib/remove_schedule.lua

local id, verb, next = ARGV[2], ARGV[3], ARGV[5]
local record = schedule_key(id)
local found = redis.call('HMGET', record, 'r', 'p')
if not found[1] then return { 'unknown' } end
if ARGV[4] ~= '' and found[1] ~= ARGV[4] then return { 'changed' } end
local paused = found[2] == '1'
if verb == 'delete' then
  remove_schedule(id, ARGV[6])
elseif verb == 'pause' and not paused then
  redis.call('HSET', record, 'p', '1')
  redis.call('ZREM', prefix .. 'schedules:due', id)
  redis.call('SREM', prefix .. 'schedules:ended', id)
  emit('schedule.paused', id)
elseif verb == 'resume' and paused then
  redis.call('HDEL', record, 'p')
  redis.call('HSET', record, 'n', next)
  look_at(id, next)
  emit('schedule.resumed', id)
  if redis.call('EXISTS', buffer_key(id)) == 1 then
    redis.call('SADD', prefix .. 'schedules:ended', id)
  elseif next == '' then
    remove_schedule(id, 'it will not fire again')
  end
  ring('bell!leader')
end
write_events(ARGV[1])
return { 'ok' }
