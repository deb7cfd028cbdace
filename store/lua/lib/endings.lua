--@include lib/limits.lua
-- What follows from the end of a job: removal after its retention, its unique key, its
-- workflow, whoever waits for it.
local ended_packets, ended_in_workflows, inbox_items, inbox_fields = {}, {}, {}, {}
-- By letter of the end; in workflows and outside.
local ended_counts = {}

local function count_ends(letter, count)
  ended_counts[letter] = (ended_counts[letter] or 0) + count
end

local function send_inbox(item)
  inbox_items[#inbox_items + 1] = item
end

-- When a job that ends now is removed; jobs of a workflow go with it.
local function removal_time(retention, workflow)
  if workflow or retention == 0 then return 0 end
  return now + retention
end

-- Books the end of `count` jobs outside of workflows.
local function book_ends(packs, letter, retention, count)
  count_ends(letter, count)
  local packets = ended_packets[letter]
  if not packets then
    packets = {}
    ended_packets[letter] = packets
  end
  local parts = packets[retention]
  if parts then
    parts[#parts + 1] = packs
  else
    packets[retention] = { packs }
  end
end

-- Books the end of a job. `letter` is its final state, `detail` attempt US run US ident; `told` is the
-- letter for its workflow, where that is another.
local function book_end(id, letter, detail, retention, workflow, why, told)
  if not workflow then return book_ends(id, letter, retention, 1) end
  count_ends(letter, 1)
  ended_in_workflows[#ended_in_workflows + 1] = id
  local item = 't' .. US .. (told or letter) .. US .. id .. US .. detail
  if letter ~= 'C' then item = item .. US .. string.sub(why or '', 1, 500) end
  send_inbox(item)
end

-- Books the completion of jobs of workflows, as emit_items() tells it.
local function book_items(begins, items, ids, first, last)
  count_ends('C', last - first + 1)
  inbox_fields[#inbox_fields + 1] = 'C'
  inbox_fields[#inbox_fields + 1] = begins .. RS .. items
  for place = first, last do ended_in_workflows[#ended_in_workflows + 1] = ids[place] end
end

local function release_unique(key, id)
  key = prefix .. 'unique:' .. key
  if redis.call('GET', key) == id then redis.call('DEL', key) end
end

-- What the end of a run must see to beside the state of its job; `ended` when the job ended with it
-- or without any. `field` is one of its policy.
local function follow_field(field, id, ended)
  local letter, value = string.sub(field, 1, 1), string.sub(field, 2)
  if letter == 'u' then
    if ended then release_unique(value, id) end
  elseif letter == 'F' then
    -- Firings of its schedule may wait for this end.
    if ended and redis.call('EXISTS', prefix .. 'buffer:' .. value) == 1 then
      redis.call('SADD', prefix .. 'schedules:ended', value)
      ring('bell!leader')
    end
  elseif letter == 'l' then
    limits().release(value, id, ended)
  elseif letter == 'H' or (ended and (letter == 'S' or letter == 'M')) then
    redis.call('ZREM', prefix .. 'timers', letter .. id)
  end
end

local function follow_policy(policy, id, ended)
  for field in string.gmatch(policy, '[^\31]+') do follow_field(field, id, ended) end
end

-- Tells the clients that wait for any of `ids`, one message a client.
local function tell_waiters(ids)
  local waiters = prefix .. 'waiters'
  if #ids == 0 or redis.call('EXISTS', waiters) == 0 then return end
  local channels = redis.call('HMGET', waiters, unpack(ids))
  local messages, found = {}, {}
  for i, names in ipairs(channels) do
    if names then
      found[#found + 1] = ids[i]
      for name in string.gmatch(names, '%S+') do
        messages[name] = (messages[name] and messages[name] .. ',' or '') .. ids[i]
      end
    end
  end
  if #found == 0 then return end
  redis.call('HDEL', waiters, unpack(found))
  for name, message in pairs(messages) do redis.call('PUBLISH', name, message) end
end

local function write_endings()
  local ended = ended_in_workflows
  local day = math.floor(now / 86400000)
  for letter, count in pairs(ended_counts) do
    redis.call('HINCRBY', prefix .. 'stats:days', day .. ' ' .. letter, count)
  end
  local awaited = redis.call('EXISTS', prefix .. 'waiters') == 1
  for letter, packets in pairs(ended_packets) do
    for retention, parts in pairs(packets) do
      local packs = table.concat(parts, ',')
      redis.call('ZADD', prefix .. 'ended', retention == 0 and '+inf' or now + retention,
        now .. letter .. packs)
      if awaited then unpack_ids(packs, ended) end
      if letter == 'D' then
        local scored = {}
        for _, id in ipairs(unpack_ids(packs, {})) do
          scored[#scored + 1] = now
          scored[#scored + 1] = id
        end
        redis.call('ZADD', prefix .. 'dead', unpack(scored))
      end
    end
  end
  if #inbox_items > 0 then
    inbox_fields[#inbox_fields + 1] = 'b'
    inbox_fields[#inbox_fields + 1] = table.concat(inbox_items, RS)
  end
  if #inbox_fields > 0 then
    redis.call('XADD', prefix .. 'inbox', '*', unpack(inbox_fields))
    ring('bell!leader')
  end
  if awaited then tell_waiters(ended) end
end
