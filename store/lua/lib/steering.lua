--@include lib/limits.lua
-- How claims are steered by hand: tiers and task types that are paused, and the rates of tiers.
--   steering  hash, none while nothing is steered: p<tier> and P<task type> of what is paused, r<tier>
--             '<rate a second> <burst>' of this shard, and behind them what was asked of the cluster,
--             b<tier> '<tokens> <ms>', how many jobs of the tier may begin

-- What is steered as of now; nil for nothing, which is the usual case.
local function read_steering()
  local fields = redis.call('HGETALL', prefix .. 'steering')
  if #fields == 0 then return nil end
  local by_name = {}
  for i = 1, #fields, 2 do by_name[fields[i]] = fields[i + 1] end
  local steering = { tiers = {}, types = {} }
  for name in pairs(by_name) do
    if string.sub(name, 1, 1) == 'P' then steering.types[string.sub(name, 2)] = true end
  end
  for _, tier in ipairs({ 'h', 'n', 'l' }) do
    local it = { paused = by_name['p' .. tier] ~= nil, open = math.huge }
    local rate, burst = string.match(by_name['r' .. tier] or '', '^(%S+) (%S+)')
    if rate then
      it.rate = tonumber(rate)
      it.tokens = limits().tokens_of(by_name['b' .. tier], it.rate, tonumber(burst))
      it.open = math.floor(it.tokens + 1e-6)
    end
    steering.tiers[tier] = it
  end
  return steering
end

-- Whether nothing of a tier may begin now. The leader rings for it when that is over.
local function is_closed(steering, tier)
  local it = steering.tiers[tier]
  if it.paused or it.open >= 1 then return it.paused end
  if redis.call('EXISTS', prefix .. 'ready:' .. tier) == 1 then
    limits().wake_at(',' .. tier, limits().next_token(it.tokens, it.rate))
  end
  return true
end

-- Takes the tokens of jobs of a tier that begin. Returns whether none is left.
local function spend_rate(steering, tier, begun)
  local it = steering.tiers[tier]
  if not it.rate then return false end
  if begun > 0 then
    redis.call('HSET', prefix .. 'steering', 'b' .. tier, limits().bucket_without(it.tokens, begun))
    it.tokens = math.max(0, it.tokens - begun)
  end
  it.open = math.floor(it.tokens + 1e-6)
  return is_closed(steering, tier)
end
