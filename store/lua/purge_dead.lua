#!lua flags=allow-oom
--[[ purge_dead: deletes dead jobs, up to 100.
  keys    1 events, 2 dead
  args    ids, or none for the oldest 100
  reply   number deleted
  events  none
]]
--@include lib/base.lua
--@include lib/packs.lua
--@include lib/jobs.lua
--@include lib/forgetting.lua

local ids = {}
local asked = #ARGV > 0 and ARGV or redis.call('ZRANGE', KEYS[2], 0, 99)
for _, id in ipairs(asked) do
  if redis.call('ZSCORE', KEYS[2], id) then ids[#ids + 1] = id end
end
forget_jobs(ids)
return #ids
