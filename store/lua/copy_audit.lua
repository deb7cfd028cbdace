#!lua flags=allow-oom
--[[ copy_audit: copies events of audited jobs from the log to their trails, from where the last
     call ended: up to 100 entries, and no more once they held a thousand events.
  keys    1 events, 2 audited, 3 leader
  args    1 term, 2 most entries, 3 most events of a trail, in about
  reply   {'ok', events copied, 1 when there is more} | {'fenced', newest term}
  events  none
]]
--@include lib/base.lua
--@include lib/packs.lua
--@include lib/jobs.lua
--@include lib/term.lua

local refusal = fenced()
if refusal then return refusal end
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('DEL', prefix .. 'audit:cursor')
  return { 'ok', 0, 0 }
end
local MOST_EVENTS = 1000
local cursor = redis.call('GET', prefix .. 'audit:cursor') or '0-0 0'
local from, expected = string.match(cursor, '^(%S+) (%d+)$')
local entries = redis.call('XRANGE', KEYS[1], '(' .. from, '+', 'COUNT', ARGV[2])

-- Calls `see` with each event of an entry: job ('' for others), index, kind, and what stands behind
-- the ids. Returns how many there are.
local function each_event(fields, see)
  local count = 0
  for i = 1, #fields, 2 do
    local kind, value = fields[i], fields[i + 1]
    if kind ~= '#' and string.sub(kind, 1, 1) ~= '@' then
      local begins, items = string.match(value, '^=([^\30]*)\30(.*)$')
      for item in string.gmatch((items or value) .. RS, '([^\30]*)\30') do
        local ids, rest = string.match(item, '^([^\31]*)\31?(.*)$')
        if string.sub(kind, 1, 4) ~= 'job.' then
          count = count + 1
        else
          if begins then rest = begins .. US .. rest end
          for _, id in ipairs(unpack_ids(ids, {})) do
            see(id, count, kind, rest)
            count = count + 1
          end
        end
      end
    end
  end
  return count
end

local ids, found, looked, last = {}, {}, 0, nil
for _, entry in ipairs(entries) do
  if looked >= MOST_EVENTS then break end
  local node = ''
  for i = 1, #entry[2], 2 do
    if entry[2][i] == '@node' then node = entry[2][i + 1] end
  end
  local ordinal = tonumber(entry[2][2]) or 0
  local count = each_event(entry[2], function(id, index, kind, rest)
    ids[#ids + 1] = id
    found[#found + 1] = { entry = entry[1], index = index, kind = kind, rest = rest, node = node }
  end)
  if not last and ordinal > tonumber(expected) then
    -- The log was cut before it was copied.
    redis.call('XADD', prefix .. 'audit:gaps', 'MAXLEN', '100', '*', 'missed',
      string.format('%.0f', ordinal - expected), 'after', from, 'before', entry[1])
  end
  last = { entry[1], ordinal + count }
  looked = looked + count
end

local copied, seen, touched = 0, {}, {}
for first = 1, #ids, 1000 do
  local some = math.min(first + 999, #ids)
  for i, is in ipairs(redis.call('SMISMEMBER', KEYS[2], unpack(ids, first, some))) do
    if is == 1 then
      local id, event = ids[first + i - 1], found[first + i - 1]
      local attempt, run, others = string.match(event.rest, '^([^\31]*)\31([^\31]*)\31?(.*)$')
      -- Behind lane, workflow, task and iteration stands the error.
      local why = string.match(others or '', '^[^\31]*\31[^\31]*\31[^\31]*\31[^\31]*\31(.*)$')
      local ms, seq = string.match(event.entry, '^(%d+)-(%d+)$')
      -- The place in the log is that in the trail, so that both can be read as one. A trail that
      -- is ahead belongs to a log that was removed by hand.
      redis.pcall('XADD', prefix .. 'audit:' .. id, 'MAXLEN', '~', ARGV[3],
        ms .. '-' .. string.format('%.0f', seq * 10000 + event.index), event.kind,
        table.concat({ attempt or '', run or '', event.node, why or '' }, US))
      copied = copied + 1
      if not seen[id] then
        seen[id] = true
        touched[#touched + 1] = id
      end
    end
  end
end
if last then
  redis.call('SET', prefix .. 'audit:cursor', last[1] .. ' ' .. string.format('%.0f', last[2]))
end
local more = looked >= MOST_EVENTS or #entries == tonumber(ARGV[2])
if not more then
  -- All that happened is copied, so jobs that have ended are done with; a retry asks anew. Of those
  -- whose end came with an earlier call some are met by chance.
  for _, id in ipairs(redis.call('SRANDMEMBER', KEYS[2], 100)) do touched[#touched + 1] = id end
  local tokens = #touched > 0 and redis.call('HMGET', prefix .. 'runs', unpack(touched)) or {}
  for i, state in ipairs(read_states(touched)) do
    if state and TERMINAL[string.sub(state, 1, 1)] and not tokens[i] then
      redis.call('SREM', KEYS[2], touched[i])
    end
  end
  if redis.call('EXISTS', KEYS[2]) == 0 then redis.call('DEL', prefix .. 'audit:cursor') end
end
return { 'ok', copied, more and 1 or 0 }
