-- Removes a schedule with what waits; a run of it goes on.
local function remove_schedule(id, why)
  local provider = redis.call('HGET', schedule_key(id), 'v')
  if provider then redis.call('SREM', prefix .. 'periodic:' .. provider, id) end
  redis.call('DEL', schedule_key(id), buffer_key(id))
  redis.call('ZREM', prefix .. 'schedules', id)
  redis.call('ZREM', prefix .. 'schedules:due', id)
  redis.call('SREM', prefix .. 'schedules:ended', id)
  emit('schedule.removed', id .. US .. why)
end
