#!lua flags=no-writes
--[[ get_schedules: reads up to 100 schedules, each as of one moment.
  keys    1 events
  args    id of each
  reply   {server time in ms, for each: {} there is none, or {definition, revision, created ms,
           what its moments are counted from, next ('' none), '1' when it is paused, last, job of
           the last, 1 while that has not ended, fired, skipped, dropped, buffered}}
  events  none
]]
--@include lib/base.lua
--@include lib/packs.lua
--@include lib/jobs.lua
--@include lib/schedules.lua

local reply = { now }
for place, id in ipairs(ARGV) do
  local found = redis.call('HMGET', schedule_key(id), 'd', 'r', 'c', 'o', 'n', 'p', 'l', 'a', 'f',
    'k', 'x')
  if found[1] then
    reply[place + 1] = { found[1], found[2], found[3], found[4], found[5] or '', found[6] or '',
      found[7] or '', found[8] or '', is_active(found[8]) and 1 or 0, found[9] or '0',
      found[10] or '0', found[11] or '0', redis.call('LLEN', buffer_key(id)) }
  else
    reply[place + 1] = {}
  end
end
return reply
