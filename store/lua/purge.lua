#!lua flags=allow-oom
--[[ purge: removes what is past its retention: one packet of jobs, or a step of one workflow or
     batch.
     Trims the event log to about its cap of events, the dead letters to theirs, and the counts of
     days to 91 of them.
  keys    1 events, 2 ended, 3 leader
  args    1 term, 2 cap of events, 3 most to look at, 4 cap of dead letters
  reply   {'ok', removed, 1 when more is past its time} | {'fenced', newest term}
  events  none
]]
--@include lib/base.lua
--@include lib/packs.lua
--@include lib/jobs.lua
--@include lib/term.lua
--@include lib/forgetting_starts.lua

local refusal = fenced()
if refusal then return refusal end
local removed, most = 0, tonumber(ARGV[3])

-- '<ended ms><letter><packs of ids>'; w for a workflow, b for a batch. A record of many tasks goes step by step; the
-- walk over it is kept in its field p, as a table whose first buckets are empty does not shrink.
local function purge_workflow(id, packet)
  local record = prefix .. 'wf:' .. id
  local expires = tonumber(redis.call('HGET', record, 'x') or '0')
  if expires == 0 or expires > now then return true end
  if redis.call('ZSCORE', prefix .. 'workflows:active', id) then
    -- Its hooks have not ended.
    redis.call('HSET', record, 'x', now + 60000)
    redis.call('ZADD', KEYS[2], now + 60000, packet)
    return false
  end
  local past = forget_starts(id, most)
  removed = removed + past
  if past > 0 then return false end
  local ids, fields, waits, more = {}, {}, {}, false
  local from = redis.call('HGET', record, 'p') or '0'
  local scan = redis.call('HSCAN', record, from, 'COUNT', most)
  for i = 1, #scan[2], 2 do
    local field, value = scan[2][i], scan[2][i + 1]
    if string.find(field, '^t%d') then
      if #ids < most then
        fields[#fields + 1] = field
        local iteration, job = string.match(value, '^%a (%d+) (%w+)')
        ids[#ids + 1] = job
        waits[#waits + 1] = id .. ' s ' .. string.sub(field, 2) .. ' ' .. iteration
      else
        more = true
      end
    elseif string.find(field, '^[xg]%d') then
      fields[#fields + 1] = field
    end
  end
  forget_jobs(ids)
  removed = removed + #ids
  if #waits > 0 then redis.call('ZREM', prefix .. 'workflows:alarms', unpack(waits)) end
  for first = 1, #fields, 4000 do
    redis.call('HDEL', record, unpack(fields, first, math.min(first + 3999, #fields)))
  end
  if more then return false end
  if scan[1] == '0' and from ~= '0' then
    -- A server that was restarted meanwhile has another order: then the walk begins again.
    local own = 0
    local names = { 'r', 's', 'c', 'd', 'e', 'x', 'p', 'z', 'o', 'f', 'k', 'y', 'gn', 'l' }
    for _, value in ipairs(redis.call('HMGET', record, unpack(names))) do
      if value then own = own + 1 end
    end
    more = redis.call('HLEN', record) > own
  end
  if more or scan[1] ~= '0' then
    redis.call('HSET', record, 'p', scan[1])
    return false
  end
  local line = redis.call('HGET', record, 'l')
  if line and redis.call('HGET', prefix .. 'lines', line) == id then
    redis.call('HDEL', prefix .. 'lines', line)
  end
  redis.call('UNLINK', record, prefix .. 'wd:' .. id, prefix .. 'sg:' .. id, prefix .. 'sk:' .. id,
    prefix .. 'sk:' .. id .. ':due')
  removed = removed + 1
  return true
end

local packet = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 1)[1]
if packet then
  local letter, list = string.match(packet, '^%d+(%a)(.*)$')
  if letter == 'b' then
--@include-here lib/forgetting_batches.lua
    local done, gone = purge_batch(list, most)
    removed = removed + gone
    if done then redis.call('ZREM', KEYS[2], packet) end
  elseif letter == 'w' then
    if purge_workflow(list, packet) then redis.call('ZREM', KEYS[2], packet) end
  else
    local ids, past = unpack_ids(list, {}), {}
    local states = read_states(ids)
    for i, id in ipairs(ids) do
      -- A job that was retried since has a later packet, or none yet.
      if states[i] then
        local state = parse_state(states[i])
        if TERMINAL[state.letter] and tonumber(state.x) > 0 and tonumber(state.x) <= now then
          past[#past + 1] = id
        end
      end
    end
    forget_jobs(past)
    removed = removed + #past
    redis.call('ZREM', KEYS[2], packet)
  end
end

local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if first then
  local total = tonumber(redis.call('GET', prefix .. 'events:count') or '0')
  local kept = total - tonumber(first[2][2])
  local cap = tonumber(ARGV[2])
  -- What audit trails still need stays, within four times the cap. Entries differ in their events,
  -- so it must be less than half of what is kept.
  local copied = tonumber(string.match(redis.call('GET', prefix .. 'audit:cursor') or '', ' (%d+)$'))
  local needed = copied and kept <= 4 * cap and redis.call('EXISTS', prefix .. 'audited') == 1
    and 2 * (total - copied) > cap
  if kept > cap and not needed then
    local entries = redis.call('XLEN', KEYS[1])
    redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', math.ceil(entries * cap / kept), 'LIMIT', 10000)
  end
end
local letters = redis.call('ZCARD', prefix .. 'dead') - tonumber(ARGV[4])
if letters > 0 then
  redis.call('ZREMRANGEBYRANK', prefix .. 'dead', 0, math.min(letters, most) - 1)
end
-- Once a day: '<day> <letter>' to how many ended so, and 't' to the day of the last look.
local days, today = prefix .. 'stats:days', math.floor(now / 86400000)
if tonumber(redis.call('HGET', days, 't') or today) ~= today then
  for _, field in ipairs(redis.call('HKEYS', days)) do
    local day = tonumber(string.match(field, '^%d+'))
    if day and day < today - 90 then redis.call('HDEL', days, field) end
  end
  redis.call('HSET', days, 't', today)
end
local more = #redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 1)
return { 'ok', removed, more }
