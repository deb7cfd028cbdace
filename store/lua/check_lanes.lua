#!lua flags=allow-oom
--[[ check_lanes: compares lanes with the ready index, repairs what differs, and rings for work
     that waits; one step of a walk over all lanes.
  keys    1 events, 2 lanes, 3 leader
  args    1 term, 2 cursor ('0' to begin), 3 about how many to look at
  reply   {'ok', next cursor ('0' at the end), seen, repaired} | {'fenced', newest term}
  events  none
]]
--@include lib/base.lua
--@include lib/term.lua

local refusal = fenced()
if refusal then return refusal end
local scan = redis.call('SSCAN', KEYS[2], ARGV[2], 'COUNT', ARGV[3])
local repaired = 0
for _, lane in ipairs(scan[2]) do
  local ready, name = prefix .. 'ready:' .. string.sub(lane, 1, 1), string.sub(lane, 3)
  local head = redis.call('XRANGE', prefix .. 'lane:' .. lane, '-', '+', 'COUNT', 1)[1]
  if head then
    repaired = repaired + redis.call('ZADD', ready, 'NX', string.match(head[1], '^%d+'), name)
    ring('bell:' .. string.match(name, '^[^:]*'))
  else
    repaired = repaired + redis.call('ZREM', ready, name)
  end
end
return { 'ok', scan[1], #scan[2], repaired }
