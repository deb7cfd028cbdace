-- Collects the events of a call; they are written together as one entry of the log.
-- Fields of an entry: '#' ordinal of its first event in this log, '@node' the node that acted,
-- then one field for each run of events of one kind, its items joined by RS.
-- Items: job events     id US attempt US run US lane US workflow US task US iteration US error
--        workflow events workflow US task US job US error
--        node and leader events node US term
-- Fields at the end that are empty may be missing.
local event_fields, event_items, event_count = {}, nil, 0

local function emit(kind, item)
  event_count = event_count + 1
  local last = #event_fields
  if last > 0 and event_fields[last - 1] == kind then
    event_items[#event_items + 1] = item
    return
  end
  if event_items then
    event_fields[last] = table.concat(event_items, RS)
  end
  event_items = { item }
  event_fields[last + 1] = kind
  event_fields[last + 2] = item
end

-- `cap` bounds the entries; the leader trims to about as many events.
local function write_events(cap, node)
  if event_count == 0 then return end
  event_fields[#event_fields] = table.concat(event_items, RS)
  local ordinal = redis.call('INCRBY', prefix .. 'events:count', event_count) - event_count
  if node then
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', cap, '*', '#', ordinal, '@node', node,
      unpack(event_fields))
  else
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', cap, '*', '#', ordinal, unpack(event_fields))
  end
end
