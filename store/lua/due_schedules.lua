#!lua flags=no-writes
--[[ due_schedules: schedules that are due, longest first, and those whose buffer may start.
  keys    1 events, 2 schedules:due, 3 schedules:ended
  args    1 most of each
  reply   {server time in ms, ms until the next is due (-1 none), for each: {id, revision, what
           its moments are counted from, scheduled time that it stands at, first of its buffer,
           1 when it is due}}
  events  none
]]
--@include lib/base.lua
--@include lib/packs.lua
--@include lib/jobs.lua
--@include lib/schedules.lua

local most = tonumber(ARGV[1])
local reply, seen = { now, -1 }, {}
local function add(id, due)
  if seen[id] then return end
  seen[id] = true
  local found = redis.call('HMGET', schedule_key(id), 'r', 'o', 'n')
  reply[#reply + 1] = { id, found[1] or '', found[2] or '', found[3] or '',
    redis.call('LINDEX', buffer_key(id), 0) or '', due }
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, most)) do
  add(id, 1)
end
for _, id in ipairs(redis.call('SRANDMEMBER', KEYS[3], most)) do add(id, 0) end
local next_due = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
if next_due then reply[2] = math.max(0, tonumber(next_due) - now) end
return reply
