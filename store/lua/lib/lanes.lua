-- Lanes: one stream per (tier, task type, version), named '<tier>:<type>:<version>'. A lane
-- holds exactly the jobs that wait in it. The ready index of a tier names its lanes that have
-- work, scored by the age of their head.
local filled = {}

-- Appends a job to its lane. `mark` is 'j' for a job without a state record, 's' with one.
local function enqueue(lane, mark, id)
  local entry = redis.call('XADD', prefix .. 'lane:' .. lane, '*', mark, id)
  if not filled[lane] then filled[lane] = entry end
  return entry
end

-- Makes lanes that were filled in this call known, and wakes one idle node for each type.
-- A lane that was ready before needs no bell: whoever left work in it has rung.
local function announce_lanes()
  for lane, entry in pairs(filled) do
    local age = string.match(entry, '^%d+')
    if redis.call('ZADD', prefix .. 'ready:' .. string.sub(lane, 1, 1), 'NX', age,
        string.sub(lane, 3)) == 1 then
      if redis.call('SADD', prefix .. 'lanes', lane) == 1 then ring('bell*') end
      ring('bell:' .. string.match(lane, '^.:([^:]*)'))
    end
  end
end

-- Takes a waiting job out of its lane.
local function leave_lane(lane, entry)
  local stream = prefix .. 'lane:' .. lane
  redis.call('XDEL', stream, entry)
  if redis.call('XLEN', stream) == 0 then
    redis.call('DEL', stream)
    redis.call('ZREM', prefix .. 'ready:' .. string.sub(lane, 1, 1), string.sub(lane, 3))
  end
end
