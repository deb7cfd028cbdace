#!lua flags=no-writes
--[[ why: what stands around a job that waits, as of one moment.
  keys    1 events, 2 leader, 3 leases, 4 steering, 5 limits
  args    1 id, 2 its lane, 3 most holders of a limit to name, 4 keys of its limits...
  reply   {server time in ms, 1 when a leader lives, 1 when its tier is paused, 1 when its task type
           is paused, when the next job of its tier may begin in ms (0 now), key of the limit that it
           is parked at ('' none), lane that it waits in, {oldest 100 lanes of its tier that come before that},
           for each limit: {most at once ('' any), others that hold it, when the next job may begin
           in ms (0 now), parked before it, {id, node ('' none) of some holders}}}
  events  none
]]
--@include lib/base.lua
--@include lib/packs.lua
--@include lib/jobs.lua

local id, lane, most_named = ARGV[1], ARGV[2], tonumber(ARGV[3])
local tier, task_type = string.match(lane, '^(.):([^:]*)')

-- When a bucket '<tokens> <ms>' has a token again; see lib/limits.lua.
local function next_token(rate, burst, bucket)
  local tokens, at = string.match(bucket or '', '^(%S+) (%d+)$')
  rate, burst = tonumber(rate), tonumber(burst)
  if not rate or not tokens then return '0' end
  local left = math.min(burst, tonumber(tokens) + math.max(0, now - tonumber(at)) * rate / 1000)
  if left >= 1 - 1e-6 then return '0' end
  return string.format('%.0f', now + math.ceil((1 - left) * 1000 / rate))
end

local holder = redis.call('HGET', KEYS[2], 'holder')
local lease = holder and holder ~= '' and redis.call('ZSCORE', KEYS[3], holder)
local steered = redis.call('HMGET', KEYS[4], 'p' .. tier, 'P' .. task_type, 'r' .. tier, 'b' .. tier)
local rate, burst = string.match(steered[3] or '', '^(%S+) (%S+)')

local state = parse_state(read_state(id))
local parked = state.letter == 'B' and state.x or ''
-- A job that was granted its slots waits in a lane of such.
if state.letter == 'P' and state.x == 'g' then lane = lane .. ',g' end
local ready = prefix .. 'ready:' .. tier
local age = redis.call('ZSCORE', ready, string.sub(lane, 3))
local older = age and redis.call('ZRANGEBYSCORE', ready, '-inf', '(' .. age, 'LIMIT', 0, 100) or {}

local reply = { tostring(now), lease and tonumber(lease) >= now and 1 or 0, steered[1] and 1 or 0,
  steered[2] and 1 or 0, next_token(rate, burst, steered[4]), parked, lane, older }
for i = 4, #ARGV do
  local key = ARGV[i]
  local held = prefix .. 'held:' .. key
  local most, key_rate, key_burst =
    string.match(redis.call('HGET', KEYS[5], key) or '', '^(%S+) (%S+) (%S+)$')
  local others = redis.call('ZCARD', held) - (redis.call('ZSCORE', held, id) and 1 or 0)
  local named = {}
  for _, other in ipairs(redis.call('ZRANGE', held, 0, most_named)) do
    if other ~= id and #named < 2 * most_named then
      local token = redis.call('HGET', prefix .. 'runs', other)
      named[#named + 1] = other
      named[#named + 1] = token and string.sub(token, 2, 27) or ''
    end
  end
  local place = redis.call('ZRANK', prefix .. 'blocked:' .. key, id)
    or redis.call('ZCARD', prefix .. 'blocked:' .. key)
  reply[#reply + 1] = { tonumber(most) and most or '', most and others or 0,
    next_token(key_rate, key_burst, redis.call('HGET', prefix .. 'buckets', key)), place, named }
end
return reply
