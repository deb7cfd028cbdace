#!lua flags=allow-oom
--[[ flush_groups: makes a job of each group that is due: of as many as there are ids, and of about
     4 MiB of messages at most.
  keys    1 events, 2 groups:due, 3 leader
  args    1 term, 2 event cap, 3 ids for jobs, as packs
  reply   {'ok', jobs made, ms until the next group is due (-1 none)} | {'fenced', newest term}
  events  job.enqueued
]]
--@include lib/base.lua
--@include lib/events.lua
--@include lib/lanes.lua
--@include lib/jobs.lua
--@include lib/making.lua
--@include lib/groups.lua
--@include lib/term.lua

local MOST_BYTES = 4194304
local refusal = fenced()
if refusal then return refusal end
local ids, made, bytes = {}, 0, 0
for _, id in ipairs(unpack_ids(ARGV[3], {})) do
  -- One that exists was made by this call, whose reply was lost.
  if redis.call('EXISTS', prefix .. 'j:' .. id) == 0 then ids[#ids + 1] = id end
end
if #ids > 0 then
  local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, #ids)
  for _, name in ipairs(due) do
    local moved = flush_group(name, ids[made + 1])
    if moved then made, bytes = made + 1, bytes + moved end
    if bytes > MOST_BYTES then break end
  end
  announce_lanes()
  write_events(ARGV[2])
end
local next_due = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
return { 'ok', made, next_due and math.max(0, tonumber(next_due) - now) or -1 }
