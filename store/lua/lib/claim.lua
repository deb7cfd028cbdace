--@include lib/timers.lua
--@include lib/limits.lua
--@include lib/steering.lua
-- Which jobs a node is given.
local TIERS = { 'h', 'n', 'l' }
-- Holes that one call passes, in about, and jobs that it looks at before it looks for others in place
-- of those that did not start.
local MOST_HOLES, MOST_LOOKED = 1000, 100

-- Handlers from ARGV behind `at`, as a function from a task type to the one that serves it:
-- exact type first, else the longest pattern.
local function read_handlers(count, at)
  local exact, patterns = {}, {}
  for _ = 1, count do
    local pattern, handler = ARGV[at + 1], { version = ARGV[at + 2], free = tonumber(ARGV[at + 3]) }
    at = at + 3
    if string.sub(pattern, -1) == '*' then
      handler.stem = string.sub(pattern, 1, -2)
      patterns[#patterns + 1] = handler
    else
      exact[pattern] = handler
    end
  end
  return function(task_type)
    local best = exact[task_type]
    if best then return best end
    for _, handler in ipairs(patterns) do
      if string.sub(task_type, 1, #handler.stem) == handler.stem
        and (not best or #handler.stem > #best.stem) then
        best = handler
      end
    end
    exact[task_type] = best
    return best
  end
end

-- Lanes of a tier that the node serves now, oldest first; all that it serves go into `served`.
-- Older ones that are for others, or are of a paused type, are looked past, up to a thousand of them.
local function lanes_for(tier, handler_of, served, paused_types)
  local lanes, first, names = {}, 0, nil
  repeat
    names = redis.call('ZRANGE', prefix .. 'ready:' .. tier, first, first + 99)
    first = first + 100
    for _, name in ipairs(names) do
      local task_type, version = string.match(name, '^([^:]*):([^,]*)')
      local handler = not (paused_types and paused_types[task_type]) and handler_of(task_type)
      if handler and (version == '' or handler.version == '' or version == handler.version) then
        local lane = { lane = tier .. ':' .. name, handler = handler, task_type = task_type }
        served[#served + 1] = lane
        if handler.free > 0 then lanes[#lanes + 1] = lane end
      end
    end
  until #lanes > 0 or #names < 100 or first == 1000
  return lanes
end

-- How many of `wanted` jobs each tier gives. Seat s of all claims of the node belongs to the
-- tier that s modulo the sum of the weights falls into, among tiers that have work. Without any weight
-- all are left to the most urgent tier.
local function shares(wanted, weights, ticket, candidates)
  local quota, total = { h = 0, n = 0, l = 0 }, 0
  for _, tier in ipairs(TIERS) do
    if #candidates[tier] > 0 then total = total + weights[tier] end
  end
  if total == 0 then return quota end
  for _, tier in ipairs(TIERS) do
    if #candidates[tier] > 0 and weights[tier] == total then
      quota[tier] = wanted
      return quota
    end
  end
  for seat = ticket, ticket + wanted - 1 do
    local place = seat % total
    for _, tier in ipairs(TIERS) do
      if #candidates[tier] > 0 then
        if place < weights[tier] then
          quota[tier] = quota[tier] + 1
          break
        end
        place = place - weights[tier]
      end
    end
  end
  return quota
end

-- Takes jobs of one entry: ids, and segments of them with one lane and one mark; those with a state
-- stand alone. `packs` names them when they are the whole entry.
local function pick(picked, lane, mark, ids, first, last, packs, items)
  local all, segment = picked.ids, picked[#picked]
  if mark == 's' then
    for place = first, last do
      all[#all + 1] = ids[place]
      picked[#picked + 1] = { lane = lane, mark = mark, first = #all, last = #all,
        packs = { ids[place] } }
    end
    return
  end
  local keys
  if mark == 'l' then keys, items = items, nil end
  if not segment or segment.mark ~= mark or segment.lane ~= lane or segment.keys ~= keys then
    segment = { lane = lane, mark = mark, keys = keys, first = #all + 1, packs = {}, items = {} }
    picked[#picked + 1] = segment
  end
  for place = first, last do all[#all + 1] = ids[place] end
  segment.last = #all
  segment.packs[#segment.packs + 1] = packs or pack(ids, first, last)
  if items then
    segment.items[#segment.items + 1] = packs and items or items_of(items, ids, first, last)
  end
end

-- The first `most` of ids[first..] that wait; holes on the way are used up. Also returns the last
-- place that was looked at.
local function past_holes(picked, holes, ids, first, most)
  local left, used, live = redis.call('SMISMEMBER', holes, unpack(ids, first)), {}, {}
  local place = first - 1
  while place < #ids and #live < most do
    place = place + 1
    local list = left[place - first + 1] == 1 and used or live
    list[#list + 1] = ids[place]
  end
  if #used > 0 then redis.call('SREM', holes, unpack(used)) end
  picked.holes = picked.holes + #used
  return live, place
end

-- Takes up to `share` jobs off the head of a lane, fewer if there are many holes before them.
-- Returns how many, and whether it is empty now.
local function take_lane(lane, share, picked)
  local stream, holes = lane_key(lane), prefix .. 'holes:' .. lane
  local has_holes = redis.call('EXISTS', holes) == 1
  local skipped = tonumber(redis.call('HGET', prefix .. 'waiting', lane .. ',') or 0)
  local skip, got, from, ask, head = skipped, 0, '-', 2, nil
  repeat
    local entries = redis.call('XRANGE', stream, from, '+', 'COUNT', ask)
    for _, entry in ipairs(entries) do
      if got == share or (has_holes and picked.holes >= MOST_HOLES) then
        head = entry[1]
        break
      end
      local mark, packs, items = entry[2][1], entry[2][2], entry[2][4]
      local ids = unpack_ids(packs, {})
      local last = math.min(#ids, skip + share - got)
      if has_holes then
        local live
        live, last = past_holes(picked, holes, ids, skip + 1, share - got)
        if #live > 0 then pick(picked, lane, mark, live, 1, #live, nil, items) end
        got = got + #live
      else
        pick(picked, lane, mark, ids, skip + 1, last, skip == 0 and last == #ids and packs, items)
        got = got + last - skip
      end
      if last < #ids then
        head, skip = entry[1], last
        break
      end
      skip, from = 0, '(' .. entry[1]
    end
    if not head and #entries < ask then
      forget_lane(lane)
      return got, true
    end
    ask = share - got + 1
  until head
  -- Not '-got': of nothing that is '-0', which is no number to Redis.
  if redis.call('HINCRBY', prefix .. 'waiting', lane, 0 - got) <= 0 and has_holes then
    -- Nothing but holes is left.
    forget_lane(lane)
    return got, true
  end
  redis.call('XTRIM', stream, 'MINID', head)
  if skip > 0 then
    redis.call('HSET', prefix .. 'waiting', lane .. ',', skip)
  elseif skipped > 0 then
    redis.call('HDEL', prefix .. 'waiting', lane .. ',')
  end
  redis.call('ZADD', prefix .. 'ready:' .. string.sub(lane, 1, 1), 
    lane_age(lane, string.match(head, '^%d+')), string.sub(lane, 3))
  return got, false
end

-- Takes up to `want` jobs of the lanes of one tier, oldest lane first. Returns how many.
local function take_jobs(lanes, want, picked)
  local taken = 0
  for _, lane in ipairs(lanes) do
    local share = math.min(want - taken, lane.handler.free)
    if share > 0 and not lane.empty then
      local got
      got, lane.empty = take_lane(lane.lane, share, picked)
      taken = taken + got
      lane.handler.free = lane.handler.free - got
    end
    if taken == want then break end
  end
  return taken
end

-- The states of the upstream jobs that the record of a workflow's job asks for.
local function upstream_of(record)
  -- A chain has one and nothing else: measured, reading it as a list costs a tenth of the turn.
  local only = string.match(record, '^%d+ %S+ U(%w+)\n')
  if only and #only == 26 then return { read_state(only) or '' } end
  local sources = policy_field(string.match(record, '^%d+ %S+ (%S+)'), 'U')
  if not sources then return {} end
  local states = read_states(unpack_ids(sources, {}))
  for i, state in ipairs(states) do states[i] = state or '' end
  return states
end

-- Whether a job whose policy asks for more than a free slot may start now. Those that may not have
-- left their place in the lane, and are where they wait, or have ended, when this returns.
local function may_start(id, record, policy)
  if not starts_in_time(id, record, policy) or not takes_limits(id, policy) then return false end
  start_timers(id, policy)
  return true
end

-- Begins the runs of what was picked: appends them to `claims`, in groups of one token, and their packs
-- to `begun`.
local function begin_runs(picked, node, claims, begun)
  local ids, names, marked, looked_at = picked.ids, {}, {}, {}
  for place, id in ipairs(ids) do names[place] = prefix .. 'j:' .. id end
  local found, texts = redis.call('MGET', unpack(names)), {}
  for _, segment in ipairs(picked) do
    if segment.mark == 's' then
      marked[#marked + 1], looked_at[#looked_at + 1] = segment.first, ids[segment.first]
    end
  end
  if #marked > 0 then
    for i, state in ipairs(read_states(looked_at)) do texts[marked[i]] = state end
  end

  local owners = {}
  for _, segment in ipairs(picked) do
    local kept, records = {}, {}
    for place = segment.first, segment.last do
      -- A record that somebody deleted by hand leaves nothing to run.
      if found[place] then
        kept[#kept + 1], records[#records + 1] = ids[place], found[place]
      end
    end
    if segment.keys and #kept > 0 then
      local stay
      kept, records, stay = limits().take_all(kept, records, segment.keys)
      if stay > 0 then picked.stayed[segment.lane] = (picked.stayed[segment.lane] or 0) + stay end
    elseif segment.mark == 's' and #kept > 0 then
      local policy = string.match(records[1], '^%d+ %S+ (%S+)')
      if string.find(US .. policy, '\31[lSMH]') and not may_start(kept[1], records[1], policy) then
        kept = {}
        local lane = segment.lane
        picked.stayed[lane] = (picked.stayed[lane] or 0) + 1
      end
    end
    if #kept > 0 then
      local text, attempt, run = texts[segment.first] or '', 1, 1
      if text ~= '' then
        attempt, run = string.match(text, '^%a (%d+) (%d+)')
        attempt, run = attempt + 1, run + 1
      end
      local begins = attempt .. US .. run
      local token = (text ~= '' and ':' or '.') .. node .. ' ' .. now .. ' ' .. begins
      local n = #owners
      for _, id in ipairs(kept) do
        owners[n + 1], owners[n + 2] = id, token
        n = n + 2
      end
      local complete = #kept == segment.last - segment.first + 1
      local packs = complete and table.concat(segment.packs, ',') or pack(kept)
      local upstreams = {}
      local mark = segment.mark
      if mark == 'j' or mark == 'l' then
        emit_jobs('job.started', packs, #kept, begins .. US .. segment.lane)
      elseif mark == 's' then
        local ident = string.match(records[1], '^%d+ (%S+)')
        emit_job('job.started', kept[1], begins .. US .. ident)
        if in_workflow(ident) then upstreams[1] = upstream_of(records[1]) end
      else
        local items = table.concat(segment.items, RS)
        if not complete then items = items_of(items, kept, 1, #kept) end
        emit_items('job.started', begins, items, #kept)
        if mark == 'u' then
          for i, record in ipairs(records) do upstreams[i] = upstream_of(record) end
        end
      end
      begun[#begun + 1] = packs
      claims[#claims + 1] = { token, packs, records, text, upstreams }
    end
  end
  if #owners > 0 then redis.call('HSET', KEYS[2], unpack(owners)) end
end

-- What an earlier sending of this turn claimed: its reply was lost.
local function hand_out_again(node, packs)
  local claims = {}
  for _, id in ipairs(unpack_ids(packs, {})) do
    local token = redis.call('HGET', KEYS[2], id)
    local record = redis.call('GET', prefix .. 'j:' .. id)
    if token and record and string.sub(token, 2, 27) == node then
      local ident = string.match(record, '^%d+ (%S+)')
      claims[#claims + 1] = { as_claimed(token), id, { record }, read_state(id) or '',
        in_workflow(ident) and { upstream_of(record) } or {} }
    end
  end
  return claims
end

-- Returns the answer, claims in groups of one token, and 1 when served work was left.
local function claim(wanted, node, slot, number, at)
  local lease = redis.call('ZSCORE', prefix .. 'leases', node)
  if not lease or tonumber(lease) < now then return 'unregistered', {}, 0 end
  local last = redis.call('HGET', prefix .. 'turn:' .. node, slot)
  if last and string.match(last, '^%d+') == number then
    return 'ok', hand_out_again(node, string.match(last, ' (.*)$')), 1
  end

  local weights = { h = tonumber(ARGV[at + 1]), n = tonumber(ARGV[at + 2]), l = tonumber(ARGV[at + 3]) }
  local handler_of = read_handlers(tonumber(ARGV[at + 5]), at + 5)
  local candidates, served = {}, {}
  local steering = read_steering()
  for _, tier in ipairs(TIERS) do
    if steering and is_closed(steering, tier) then
      candidates[tier] = {}
    else
      candidates[tier] = lanes_for(tier, handler_of, served, steering and steering.types)
    end
  end
  local picked, claims, begun, left = nil, {}, {}, 0
  local open, given, looked = wanted, 0, 0
  local taken = { h = 0, n = 0, l = 0 }
  local function take(tier, most)
    if steering then most = math.min(most, steering.tiers[tier].open - taken[tier]) end
    local got = most > 0 and take_jobs(candidates[tier], most, picked) or 0
    taken[tier], open = taken[tier] + got, open - got
  end
  -- Again for those that did not start, as behind jobs that are parked others may wait for this node.
  repeat
    picked = { ids = {}, holes = picked and picked.holes or 0, stayed = {} }
    local quota = shares(open, weights, tonumber(ARGV[at + 4]) + given, candidates)
    for _, tier in ipairs(TIERS) do take(tier, quota[tier]) end
    -- What a tier could not use goes to the others, most urgent first.
    for _, tier in ipairs(TIERS) do
      if open > 0 then take(tier, open) end
    end
    local stayed = 0
    if #picked.ids > 0 then
      begin_runs(picked, node, claims, begun)
      if next(picked.stayed) then
        for _, lane in ipairs(served) do
          local count, tier = picked.stayed[lane.lane] or 0, string.sub(lane.lane, 1, 1)
          stayed, taken[tier] = stayed + count, taken[tier] - count
          lane.handler.free = lane.handler.free + count
        end
      end
      given, looked, open = given + #picked.ids - stayed, looked + #picked.ids, open + stayed
    end
  until stayed == 0 or looked >= MOST_LOOKED
  if looked > given then announce_lanes() end
  if #begun > 0 then
    redis.call('HSET', prefix .. 'turn:' .. node, slot, number .. ' ' .. table.concat(begun, ','))
  end
  local spent = {}
  if steering then
    for _, tier in ipairs(TIERS) do spent[tier] = spend_rate(steering, tier, taken[tier]) end
  end
  -- Work that is left may be for others: the bell that brought this node here is passed on.
  for _, lane in ipairs(served) do
    if not lane.empty and not spent[string.sub(lane.lane, 1, 1)] then
      if lane.handler.free > 0 then left = 1 end
      ring('bell:' .. lane.task_type)
    end
  end
  return 'ok', claims, left
end
