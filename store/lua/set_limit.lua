#!lua flags=allow-oom
--[[ set_limit: declares the limit of a key, or takes it back, and lets go on who may now.
  keys    1 events, 2 limits
  args    1 event cap, 2 key, 3 '<most at once> <rate a second> <burst>', '-' for each that is not
          limited; '' takes the limit back
  reply   {'set' | 'unset', 1 when it was declared before}
  events  none
]]
--@include lib/base.lua
--@include lib/events.lua
--@include lib/lanes.lua
--@include lib/jobs.lua
--@include lib/limits.lua

local key, limit = ARGV[2], ARGV[3]
local before = redis.call('HEXISTS', KEYS[2], key)
if limit == '' then
  redis.call('HDEL', KEYS[2], key)
  redis.call('HDEL', prefix .. 'buckets', key)
else
  redis.call('HSET', KEYS[2], key, limit)
end
limits().revisit(key)
announce_lanes()
write_events(ARGV[1])
return { limit == '' and 'unset' or 'set', before }
