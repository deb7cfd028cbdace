--@include lib/forgetting.lua
-- Removes a batch that is past its retention, or was never accepted, at most about `most` jobs of it; see
-- lib/batches.lua. Returns whether nothing is left to do, and how many records are gone.
local function purge_batch(id, most)
  local record = prefix .. 'bt:' .. id
  local accepted, expires, last, newest, onetime, from =
    unpack(redis.call('HMGET', record, 'r', 'x', 'b', 'i', 'o', 'p'))
  expires = tonumber(expires or 0)
  -- Retried since, or accepted after it had been staged.
  if accepted and (expires == 0 or expires > now) then return true, 0 end
  local items, ids, block = prefix .. 'bi:' .. id, {}, tonumber(from or 0)
  last, newest = tonumber(last or -1), tonumber(newest or 0)
  while block <= last and #ids < most do
    local fields = { block }
    for iteration = 1, newest do fields[iteration + 1] = block .. '.' .. iteration end
    for _, packs in ipairs(redis.call('HMGET', items, unpack(fields))) do
      if packs then unpack_ids(string.match(packs, '^[^\n]*'), ids) end
    end
    redis.call('HDEL', items, unpack(fields))
    block = block + 1
  end
  forget_jobs(ids)
  if block <= last then
    redis.call('HSET', record, 'p', block)
    return false, #ids
  end
  if onetime then forget_jobs(unpack_ids(onetime, {})) end
  redis.call('UNLINK', record, items, prefix .. 'bd:' .. id, prefix .. 'bs:' .. id)
  return true, #ids + 1
end
