#!lua flags=no-writes
--[[ survey: what there is to do for the leader, in one look.
  keys    1 events, 2 inbox, 3 workflows:unfinished, 4 workflows:alarms, 5 delayed, 6 leases,
          7 ended, 8 leader, 9 recovering, 10 audited, 11 timers, 12 groups:due,
          13 schedules:due, 14 schedules:ended, 15 outbox
  args    1 term
  reply   {'ok', inbox entries, unfinished workflows, overdue (0|1), ms until the next delayed
           job or wake of a limit (-1 none), dead nodes (0|1), purgeable (0|1), events for audit
           trails (0|1), ms until the next timer of a job, the next group, the next schedule is
           due (-1 none; of schedules 0 also when a firing that waited may start), posts (0|1)}
          | {'fenced', newest term}
  events  none
]]
--@include lib/base.lua
--@include lib/term.lua

local refusal = fenced()
if refusal then return refusal end
local function due(name)
  return #redis.call('ZRANGEBYSCORE', name, '-inf', now, 'LIMIT', 0, 1)
end
-- Whether the log has grown since the trails of audited jobs were last written.
local function trails_due()
  if redis.call('EXISTS', KEYS[10]) == 0 then return 0 end
  local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
  local copied = redis.call('GET', prefix .. 'audit:cursor') or ''
  return last and last[1] ~= string.match(copied, '^%S*') and 1 or 0
end
-- Time until the first of sorted sets by moment.
local function wait(...)
  local earliest
  for _, name in ipairs({ ... }) do
    local first = tonumber(redis.call('ZRANGE', name, 0, 0, 'WITHSCORES')[2])
    if first and (not earliest or first < earliest) then earliest = first end
  end
  return earliest and math.max(0, earliest - now) or -1
end
local next_firing = redis.call('EXISTS', KEYS[14]) == 1 and 0 or wait(KEYS[13])
return { 'ok', redis.call('XLEN', KEYS[2]), redis.call('SCARD', KEYS[3]), due(KEYS[4]),
  wait(KEYS[5], prefix .. 'wakes'), math.max(due(KEYS[6]), redis.call('EXISTS', KEYS[9])),
  due(KEYS[7]), trails_due(), wait(KEYS[11]), wait(KEYS[12]), next_firing,
  math.min(1, redis.call('XLEN', KEYS[15])) }
