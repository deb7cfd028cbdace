-- What follows from the end of a job: removal after its retention, its unique key, its
-- workflow, whoever waits for it.
local ended_packets, ended_ids, inbox_items = {}, {}, {}

local function send_inbox(item)
  inbox_items[#inbox_items + 1] = item
end

-- When a job that ends now is removed; jobs of a workflow go with it.
local function removal_time(retention, workflow)
  if workflow or retention == 0 then return 0 end
  return now + retention
end

-- Books the end of a job. `letter` is its final state, `detail` attempt US run US ident.
local function book_end(id, letter, detail, retention, workflow, why)
  ended_ids[#ended_ids + 1] = id
  if workflow then
    local item = 't' .. US .. letter .. US .. id .. US .. detail
    if letter ~= 'C' then item = item .. US .. string.sub(why or '', 1, 500) end
    send_inbox(item)
    return
  end
  local packet = letter .. retention
  local ids = ended_packets[packet]
  if not ids then
    ids = { letter = letter, retention = retention }
    ended_packets[packet] = ids
  end
  ids[#ids + 1] = id
end

local function release_unique(key, id)
  key = prefix .. 'unique:' .. key
  if redis.call('GET', key) == id then redis.call('DEL', key) end
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
  for _, ids in pairs(ended_packets) do
    redis.call('ZADD', prefix .. 'ended', ids.retention == 0 and '+inf' or now + ids.retention,
      now .. ids.letter .. table.concat(ids, ','))
    if ids.letter == 'D' then
      local scored = {}
      for i, id in ipairs(ids) do
        scored[2 * i - 1] = now
        scored[2 * i] = id
      end
      redis.call('ZADD', prefix .. 'dead', unpack(scored))
    end
  end
  if #inbox_items > 0 then
    redis.call('XADD', prefix .. 'inbox', '*', 'b', table.concat(inbox_items, RS))
    ring('bell!leader')
  end
  tell_waiters(ended_ids)
end
