--@include lib/packs.lua
-- Lanes: one stream per (tier, task type, version), named '<tier>:<type>:<version>', with the jobs
-- that wait in it. An entry holds jobs that came together: a mark, and their ids as packs. The
-- mark tells the claim what to look at: 'j' jobs outside of workflows that had no run, 'w' those of
-- workflows, 'u' the same with upstream jobs, 's' any with a state record. With w and u stand items,
-- id US ident of each, joined by RS. 'l' is as 'j' with limits, the same of all jobs of the entry: their
-- keys stand beside them, joined by US. A job that has limits in time is 's' from the beginning.
--   waiting       hash, lane to how many jobs wait in it, and lane with ',' behind it to how many
--                 jobs of its oldest entry were claimed already
--   holes:<lane>  set, jobs that have left their places in the lane, which are still there. A job
--                 has one place that was not claimed.
--   ready:<tier>  sorted set of lanes that have work, without the tier, by the age of their head
-- '<lane>,g' holds those jobs of a lane that were parked at a limit and were granted their slots since:
-- it comes before all that are not such, as long as a slot waits for its job nobody else has it.
local filled = {}
-- What must be done before lanes are written, as it may fill them; see limits.lua.
local before_lanes

local function lane_key(lane)
  return prefix .. 'lane:' .. lane
end

local function granted_lane(lane)
  return lane .. ',g'
end

-- The score of a lane among those that are ready.
local function lane_age(lane, head)
  return string.sub(lane, -2) == ',g' and 0 or head
end

-- Appends jobs to a lane, with the next announce_lanes().
local function enqueue_packs(lane, mark, packs, count, items)
  local parts = filled[lane] or { count = 0 }
  filled[lane] = parts
  parts.count = parts.count + count
  parts[#parts + 1] = { mark = mark, packs = packs, items = items }
end

-- The same for one job with a state record.
local function enqueue(lane, id)
  local parts = filled[lane] or { count = 0 }
  filled[lane] = parts
  parts.count = parts.count + 1
  local part = parts[#parts]
  if not part or part.packs then
    part = { mark = 's', ids = {} }
    parts[#parts + 1] = part
  end
  part.ids[#part.ids + 1] = id
end

-- Writes what was appended, makes those lanes known, and wakes one idle node for each type.
-- A lane that was ready before needs no bell: whoever left work in it has rung.
local function announce_lanes()
  if before_lanes then before_lanes() end
  for lane, parts in pairs(filled) do
    for _, part in ipairs(parts) do
      local packs = part.packs or pack(part.ids)
      if part.items then
        redis.call('XADD', lane_key(lane), '*', part.mark, packs, 'i', part.items)
      else
        redis.call('XADD', lane_key(lane), '*', part.mark, packs)
      end
    end
    redis.call('HINCRBY', prefix .. 'waiting', lane, parts.count)
    if redis.call('ZADD', prefix .. 'ready:' .. string.sub(lane, 1, 1), 'NX',
        lane_age(lane, now), string.sub(lane, 3)) == 1 then
      if redis.call('SADD', prefix .. 'lanes', lane) == 1 then ring('bell*') end
      ring('bell:' .. string.match(lane, '^.:([^:]*)'))
    end
  end
  filled = {}
end

-- Nothing waits in the lane any more.
local function forget_lane(lane)
  redis.call('DEL', lane_key(lane), prefix .. 'holes:' .. lane)
  redis.call('HDEL', prefix .. 'waiting', lane, lane .. ',')
  redis.call('ZREM', prefix .. 'ready:' .. string.sub(lane, 1, 1), string.sub(lane, 3))
end

-- Takes a waiting job out of its lane: its place becomes a hole.
local function leave_lane(lane, id)
  announce_lanes()
  redis.call('SADD', prefix .. 'holes:' .. lane, id)
  if redis.call('HINCRBY', prefix .. 'waiting', lane, -1) <= 0 then forget_lane(lane) end
end

-- Lets a job that was retried or resumed wait: in the place that it left, or at the end if that has been
-- passed. The mark of that place still says what to look at, as the job had no run since it came
-- there. A lane with holes has work, and is known.
local function return_to_lane(lane, id)
  if redis.call('SREM', prefix .. 'holes:' .. lane, id) == 0 then return enqueue(lane, id) end
  redis.call('HINCRBY', prefix .. 'waiting', lane, 1)
end
