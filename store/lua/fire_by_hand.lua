#!lua
--[[ fire_by_hand: firings of a schedule that somebody asks for; its next one stays. Also of one
     that is paused.
  keys    1 events
  args    1 event cap, 2 retention of cancelled jobs in ms, 3 name of the call, then one schedule
          as for `fire`, standing at ''
  reply   {'ok', fired, skipped, buffered, dropped, replaced} | {'unknown'} | {'changed'} (read it
          again)
  events  job.enqueued, job.scheduled, job.cancelled, schedule.removed
]]
--@include lib/base.lua
--@include lib/events.lua
--@include lib/lanes.lua
--@include lib/jobs.lua
--@include lib/endings.lua
--@include lib/cancelling.lua
--@include lib/making.lua
--@include lib/schedules.lua
--@include lib/remove_schedule.lua
--@include lib/firing.lua

local step = read_step(3)
local record = schedule_key(step.id)
local counts
local before = redis.call('HGET', record, 'm')
if before and string.match(before, '^%S+') == ARGV[3] then
  -- The reply was lost.
  local told = { 'ok' }
  for count in string.gmatch(before, ' (%d+)') do told[#told + 1] = tonumber(count) end
  return told
end
local answer
answer, counts = fire_schedule(step, true, tonumber(ARGV[2]))
if answer == 'm' then return { 'unknown' } end
if answer ~= '.' then return { 'changed' } end
if redis.call('EXISTS', record) == 1 then
  redis.call('HSET', record, 'm', ARGV[3] .. ' ' .. counts.fired .. ' ' .. counts.skipped .. ' '
    .. counts.buffered .. ' ' .. counts.dropped .. ' ' .. counts.replaced)
end
announce_lanes()
write_endings()
write_events(ARGV[1])
return { 'ok', counts.fired, counts.skipped, counts.buffered, counts.dropped, counts.replaced }
