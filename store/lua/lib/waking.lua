--@include lib/limits.lua
-- What waits for tokens, or for slots that others did not use in time.

-- Rings for the lanes of a tier that have work.
local function ring_tier(tier)
  for _, name in ipairs(redis.call('ZRANGE', prefix .. 'ready:' .. tier, 0, 99)) do
    ring('bell:' .. string.match(name, '^[^:]*'))
  end
end

-- Looks at the keys and tiers whose moment has come, at most ten. Returns how many jobs it lets go on.
local function wake_due()
  local moved = 0
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'wakes', '-inf', now, 'LIMIT', 0, 10)) do
    limits().quiet = true
    if string.sub(name, 1, 1) == ',' then
      redis.call('ZREM', prefix .. 'wakes', name)
      ring_tier(string.sub(name, 2))
    else
      moved = moved + limits().revisit(name)
    end
  end
  return moved
end

-- The earliest of a moment and the next one that something is to be woken at.
local function earlier_wake(moment)
  local wake = redis.call('ZRANGE', prefix .. 'wakes', 0, 0, 'WITHSCORES')[2]
  if moment and wake then return math.min(tonumber(moment), tonumber(wake)) end
  return moment or wake
end
