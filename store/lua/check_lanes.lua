#!lua flags=allow-oom
--[[ check_lanes: compares lanes with the ready index, repairs what differs, and rings for work
     that waits; one step of a walk over all lanes. Sweeps lanes that have many holes, one step of
     one lane a call.
  keys    1 events, 2 lanes, 3 leader
  args    1 term, 2 cursor ('0' to begin), 3 about how many to look at
  reply   {'ok', next cursor ('0' at the end), seen, repaired, 1 when there is more to sweep: call
          again with the same cursor} | {'fenced', newest term}
  events  none
]]
--@include lib/base.lua
--@include lib/lanes.lua
--@include lib/term.lua

local refusal = fenced()
if refusal then return refusal end

-- Holes of a lane that are not worth a sweep, and what one call looks at: entries, and jobs of
-- them in about.
local FEW_HOLES, MOST_ENTRIES, MOST_JOBS = 1000, 100, 1000
-- Hash, lane to the entry that its sweep has come to; '+' when it came to the end in this step.
local swept = prefix .. 'swept'

-- Whether a sweep of the lane is to begin, or to go on. Holes that share their entries with jobs
-- that wait cannot be swept, so a lane is left alone while it has more jobs than holes.
local function to_sweep(lane)
  local place = redis.call('HGET', swept, lane)
  if place then return place ~= '+', '(' .. place end
  local holes = redis.call('SCARD', prefix .. 'holes:' .. lane)
  if holes <= FEW_HOLES then return false end
  return holes > tonumber(redis.call('HGET', prefix .. 'waiting', lane) or 0), '-'
end

-- Removes entries in which nothing but holes is left, from a place on. The others stay where they
-- are, as do the jobs of the oldest entry that were claimed: their ids may stand elsewhere by now.
local function sweep(lane, from)
  local stream, holes = lane_key(lane), prefix .. 'holes:' .. lane
  local head = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
  local entries = redis.call('XRANGE', stream, from, '+', 'COUNT', MOST_ENTRIES)
  local jobs, place = 0, '+'
  for index, entry in ipairs(entries) do
    local ids, first = unpack_ids(entry[2][2], {}), 1
    if entry[1] == head[1] then
      first = 1 + tonumber(redis.call('HGET', prefix .. 'waiting', lane .. ',') or 0)
    end
    local waits = false
    for _, left in ipairs(redis.call('SMISMEMBER', holes, unpack(ids, first))) do
      waits = waits or left == 0
    end
    if not waits then
      redis.call('XDEL', stream, entry[1])
      redis.call('SREM', holes, unpack(ids, first))
      if first > 1 then redis.call('HDEL', prefix .. 'waiting', lane .. ',') end
    end
    jobs = jobs + #ids
    if jobs >= MOST_JOBS or index == MOST_ENTRIES then
      place = entry[1]
      break
    end
  end
  redis.call('HSET', swept, lane, place)
end

local scan = redis.call('SSCAN', KEYS[2], ARGV[2], 'COUNT', ARGV[3])
local repaired, again = 0, 0
for _, lane in ipairs(scan[2]) do
  if again == 0 then
    local due, from = to_sweep(lane)
    if due then
      sweep(lane, from)
      again = 1
    end
  end
  local ready, name = prefix .. 'ready:' .. string.sub(lane, 1, 1), string.sub(lane, 3)
  local head = redis.call('XRANGE', prefix .. 'lane:' .. lane, '-', '+', 'COUNT', 1)[1]
  if head then
    repaired = repaired + redis.call('ZADD', ready,
      lane_age(lane, string.match(head[1], '^%d+')), name)
    ring('bell:' .. string.match(name, '^[^:]*'))
  else
    repaired = repaired + redis.call('ZREM', ready, name)
  end
end
if again == 0 and #scan[2] > 0 then redis.call('HDEL', swept, unpack(scan[2])) end
return { 'ok', again == 1 and ARGV[2] or scan[1], #scan[2], repaired, again }
