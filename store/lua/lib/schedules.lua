-- Schedules.
-- schedule:<id>  a hash: d definition, opaque here; r revision, which no other definition ever
--                has; c created, o what its moments are counted from (both ms); n scheduled time
--                of the next firing ('' none); p '1' while it is paused; v its provider;
--                l scheduled time of the firing that last became a job, a that job;
--                f, k, x how many firings became jobs, were skipped, were dropped;
--                m the last call by hand, and what came of it.
-- buffer:<id>    a list: firings that wait for the end of that job, in order, '<scheduled ms><kind>'.
--                kind: s on time, c makes up for a missed one, m and b by hand (b of a backfill).
-- schedules      sorted set of all, by creation; schedules:due those that fire, by when to look at
--                them; schedules:ended a set of those whose buffer may start.
-- periodic:<provider>  a set: the schedules that a provider of nodes keeps.
local function schedule_key(id)
  return prefix .. 'schedule:' .. id
end

local function buffer_key(id)
  return prefix .. 'buffer:' .. id
end

-- Whether the job of a firing has not ended.
local function is_active(job)
  if not job then return false end
  if redis.call('HEXISTS', prefix .. 'runs', job) == 1 then return true end
  local state = read_state(job)
  if state then return not TERMINAL[string.sub(state, 1, 1)] end
  return redis.call('EXISTS', prefix .. 'j:' .. job) == 1
end

local function new_revision()
  return tostring(redis.call('INCR', prefix .. 'schedules:revision'))
end

-- Looks at the schedule when its next firing is due; never when there is none.
local function look_at(id, next)
  if next == '' then
    redis.call('ZREM', prefix .. 'schedules:due', id)
  else
    redis.call('ZADD', prefix .. 'schedules:due', next, id)
  end
end
