--@include lib/packs.lua
-- Collects the events of a call; they are written together as one entry of the log.
-- Fields of an entry: '#' ordinal of its first event in this log, '@node' the node that acted,
-- then one field for each run of events of one kind, its items joined by RS.
-- Items: job events     ids US attempt US run US lane US workflow US task US iteration US error
--                       ids: packs of one or more, each of them an event of its own
--        workflow events workflow US task US job US error
--        batch events   batch US place ':' item US task type US job US iteration US error; of
--                       batch.progress batch US done US total US failed US step
--        node and leader events node US term
--        schedule events schedule US error
-- Fields at the end that are empty may be missing. A value that begins '=' attempt US run RS has
-- that in common to its items, which are id US lane US workflow US task US iteration. A job of a batch has '#' batch and
-- place ':' item where workflow and task are.
local event_fields, event_items, event_kind, event_count = {}, nil, nil, 0
-- Jobs whose events differ by nothing but the id.
local alike_ids, alike_detail

local function close_alike()
  if not alike_ids then return end
  event_items[#event_items + 1] = pack(alike_ids) .. US .. alike_detail
  alike_ids = nil
end

local function open_kind(kind, count)
  event_count = event_count + count
  if kind == event_kind then return end
  close_alike()
  local last = #event_fields
  if event_items then event_fields[last] = table.concat(event_items, RS) end
  event_kind, event_items = kind, {}
  event_fields[last + 1] = kind
  event_fields[last + 2] = ''
end

-- Other events: one item, or several joined by RS.
local function emit(kind, item, count)
  open_kind(kind, count or 1)
  close_alike()
  event_items[#event_items + 1] = item
end

-- The same event of several jobs: their ids as packs, and how many they are.
local function emit_jobs(kind, packs, count, detail)
  open_kind(kind, count)
  close_alike()
  event_items[#event_items + 1] = packs .. US .. detail
end

-- The same event of several jobs of workflows. `begins` is attempt US run; `items` are id US ident
-- of each, joined by RS.
local function emit_items(kind, begins, items, count)
  event_count = event_count + count
  close_alike()
  local last = #event_fields
  if event_items then event_fields[last] = table.concat(event_items, RS) end
  event_kind, event_items = nil, nil
  event_fields[last + 1] = kind
  event_fields[last + 2] = '=' .. begins .. RS .. items
end

-- An event of a job. `detail` is attempt US run US ident.
local function emit_job(kind, id, detail, why)
  open_kind(kind, 1)
  if why then
    close_alike()
    local _, separators = string.gsub(detail, US, '')
    event_items[#event_items + 1] = id .. US .. detail
      .. (separators >= 5 and US or US .. US .. US .. US) .. string.sub(why, 1, 500)
  elseif alike_ids and alike_detail == detail then
    alike_ids[#alike_ids + 1] = id
  else
    close_alike()
    alike_ids, alike_detail = { id }, detail
  end
end

-- `cap` bounds the entries; the leader trims to about as many events.
local function write_events(cap, node)
  if event_count == 0 then return end
  close_alike()
  if event_items then event_fields[#event_fields] = table.concat(event_items, RS) end
  local ordinal = redis.call('INCRBY', prefix .. 'events:count', event_count) - event_count
  if node then
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', cap, '*', '#', ordinal, '@node', node,
      unpack(event_fields))
  else
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', cap, '*', '#', ordinal, unpack(event_fields))
  end
end
