-- Names that every script shares. KEYS[1] is '<prefix>events' in all of them; the other keys
-- of the shard have the same prefix, and so the same slot.
local US, RS = '\31', '\30'
local prefix = string.sub(KEYS[1], 1, -7)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Rings a bell: a list of at most one token, on which idle readers block.
local function ring(name)
  if redis.call('RPUSH', prefix .. name, '1') > 1 then
    redis.call('LTRIM', prefix .. name, 0, 0)
  end
end
