-- Audit trails: what happened to the jobs that asked for it, copied from the event log.
--   audited       set of the jobs whose events are looked for; none that has ended and is copied
--   audit:<id>    stream, the trail of one job; removed with it
--   audit:cursor  '<entry of the log that was copied last> <ordinal of the event behind it>'
--   audit:gaps    stream of the newest gaps, where the log was cut before it was copied

-- Has the events of a job copied from now on, the one of this call included.
local function audit(id)
  local before = redis.call('EXISTS', prefix .. 'audited')
  redis.call('SADD', prefix .. 'audited', id)
  if before == 1 then return end
  -- Nothing before was looked for, so the copying begins at the end of the log.
  local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
  redis.call('SET', prefix .. 'audit:cursor', (last and last[1] or '0-0') .. ' '
    .. (redis.call('GET', prefix .. 'events:count') or '0'))
end
