#!lua
--[[ push_group: appends up to 100 messages to a group. Whenever as many stand as one job takes, or
     the next would be too much for it, makes a job of them.
  keys    1 events, 2 messages (group:<name>), 3 head (group:<name>:head), 4 groups:due
  args    1 event cap, 2 what the job is made of, '<ident> <policy>\n<options>\n', 3 grace in ms,
          4 longest delay in ms, 5 most messages of a job, 6 most bytes of its payload, 7 ids for
          jobs as packs, one more than messages, of which the first names the push; then messages
  reply   {'ok', messages that stand now, packs of the jobs that were made}
          | {'differs', what the job of those that stand is made of}
  events  job.enqueued
]]
--@include lib/base.lua
--@include lib/events.lua
--@include lib/lanes.lua
--@include lib/jobs.lua
--@include lib/making.lua
--@include lib/groups.lua

local SPAN = 300000
local head, most, most_bytes = ARGV[2], tonumber(ARGV[5]), tonumber(ARGV[6])
local ids, made = unpack_ids(ARGV[7], {}), {}
local found = redis.call('HMGET', KEYS[3], 'h', 'n', 'f')
local count, first = tonumber(found[2] or 0), tonumber(found[3] or now)

local span = math.floor(now / SPAN)
local pushes = prefix .. 'pushes:'
if redis.call('SISMEMBER', pushes .. span, ids[1]) == 1
  or redis.call('SISMEMBER', pushes .. span - 1, ids[1]) == 1 then
  -- The reply was lost.
  for _, id in ipairs(ids) do
    if redis.call('EXISTS', prefix .. 'j:' .. id) == 1 then made[#made + 1] = id end
  end
  return { 'ok', count, pack(made) }
end
if found[1] and found[1] ~= head then return { 'differs', found[1] } end

-- What stood before is read and moved only if a job is made of it.
local stored, pending, bytes = count > 0, {}, redis.call('STRLEN', KEYS[2])
local name = string.sub(KEYS[2], #prefix + #'group:' + 1)
local function flush()
  if stored then
    table.insert(pending, 1, redis.call('GET', KEYS[2]))
    clear_group(name)
  end
  made[#made + 1] = ids[#made + 1]
  make_job(made[#made], head .. '[' .. table.concat(pending, ',') .. ']')
  stored, pending, count, bytes = false, {}, 0, 0
end

for place = 8, #ARGV do
  local message = ARGV[place]
  -- With a comma and both brackets.
  if count > 0 and bytes + #message + 3 > most_bytes then flush() end
  if count == 0 then
    first, bytes = now, #message
  else
    bytes = bytes + 1 + #message
  end
  count = count + 1
  pending[#pending + 1] = message
  if count >= most then flush() end
end

if #pending > 0 then
  redis.call('APPEND', KEYS[2], (stored and ',' or '') .. table.concat(pending, ','))
  redis.call('HSET', KEYS[3], 'h', head, 'n', count, 'f', first)
  local due = math.min(now + ARGV[3], first + ARGV[4])
  local before = redis.call('ZSCORE', KEYS[4], name)
  redis.call('ZADD', KEYS[4], due, name)
  -- What is due later is found by the leader's survey in time.
  if due < now + 2000 and (not before or due < tonumber(before)) then ring('bell!leader') end
end
redis.call('SADD', pushes .. span, ids[1])
redis.call('PEXPIREAT', pushes .. span, (span + 2) * SPAN)
announce_lanes()
write_events(ARGV[1])
return { 'ok', count, pack(made) }
