#!lua flags=allow-oom
--[[ turn: settles finished runs of a node and claims more work for it.
  keys    1 events, 2 runs, then the state (s:<id>) of each settled job
  args    1 node, 2 slot, 3 number of the turn in that slot, 4 event cap, 5 settles,
          6 retention of cancelled jobs in ms
          for each settle: '<code><w|.> <attempt> <run>', token, number, tail
            codes  C completed, K skipped, D dead (number: retention in ms; tail: result or why)
                   R retry, P repeat (number: delay in ms)   Z pause (number: ms, 0 by hand)
                   L hand back
          number of unique keys to release, then for each: settle (from 1), key
          most to claim (0: none), weights of high, normal, low, ticket, handlers,
          for each handler: pattern, version ('' any), free slots
  reply   {one letter a settle: '.' done, 'c' ended cancelled, 'r' done before, 'f' fenced,
           'ok' | 'none' | 'unregistered', 1 when served work was left,
           for each claim: {id, token, record, state, {state of each upstream}}}
  events  job.completed, job.failed, job.dead, job.cancelled, job.paused, job.scheduled,
          job.dispatched, job.started
]]
--@include lib/base.lua
--@include lib/events.lua
--@include lib/lanes.lua
--@include lib/jobs.lua
--@include lib/endings.lua

local runs_key = KEYS[2]
local node, slot, number, cap = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local settles, cancelled_retention = tonumber(ARGV[5]), tonumber(ARGV[6])
local at = 6

-- Settle ------------------------------------------------------------------------------------
local answers = {}
local release = {}
if settles > 0 then
  local ids, tokens = {}, nil
  for i = 1, settles do ids[i] = string.sub(KEYS[2 + i], -26) end
  tokens = redis.call('HMGET', runs_key, unpack(ids))
  local states = redis.call('MGET', unpack(KEYS, 3, 2 + settles))
  local settled, records, delayed, paused, cancels = {}, {}, {}, {}, {}

  for i = 1, settles do
    local id, head, token = ids[i], ARGV[at + 1], ARGV[at + 2]
    local value, tail = tonumber(ARGV[at + 3]), ARGV[at + 4]
    at = at + 4
    local owner = tokens[i]
    local cancelled = owner and owner ~= token and string.sub(owner, 2) == string.sub(token, 2)
    if owner ~= token and not cancelled then
      local run = string.match(head, '(%d+)$')
      local text = states[i]
      local done = not owner and text and parse_state(text).run == tonumber(run)
      answers[i] = done and 'r' or 'f'
    else
      answers[i] = cancelled and 'c' or '.'
      local code, workflow = string.sub(head, 1, 1), string.sub(head, 2, 2) == 'w'
      local counters, text = string.sub(head, 4), states[i]
      local crashes, errors, rest = '0', '0', ''
      if text then
        crashes, errors, rest =
          string.match(text, '^%a %d+ %d+ (%d+) (%d+) %d+ %S+([^\n]*)\n')
      end
      local detail = string.sub(token, 43)
      local state
      if cancelled then
        code, value, tail = 'X', cancelled_retention, 'cancelled while it ran'
        cancels[#cancels + 1] = id
      end
      if code == 'C' then
        state = 'C ' .. counters .. ' ' .. crashes .. ' 0 ' .. now .. ' '
          .. removal_time(value, workflow) .. rest .. '\n' .. tail
        emit('job.completed', id .. US .. detail)
        book_end(id, 'C', detail, value, workflow)
        release[i] = id
      elseif code == 'K' or code == 'D' or code == 'X' then
        if code == 'D' then errors = errors + 1 end
        state = code .. ' ' .. counters .. ' ' .. crashes .. ' ' .. errors .. ' ' .. now .. ' '
          .. removal_time(value, workflow) .. rest .. '\n' .. tail
        emit(code == 'K' and 'job.completed' or code == 'D' and 'job.dead' or 'job.cancelled',
          job_item(id, detail, tail))
        book_end(id, code, detail, value, workflow, tail)
        release[i] = id
      elseif code == 'L' or (code == 'P' and value == 0) then
        local ident = string.match(detail, '^%d+\31%d+\31(.*)$')
        local entry = enqueue(lane_of(ident), 's', id)
        state = 'P ' .. counters .. ' ' .. crashes .. ' ' .. errors .. ' ' .. now .. ' '
          .. entry .. rest .. '\n'
        emit('job.dispatched', id .. US .. detail)
      else
        local letter, kind, due = 'R', 'job.failed', now + value
        if code == 'P' then
          letter, kind, errors = 'S', 'job.scheduled', '0'
        elseif code == 'Z' then
          letter, kind, errors = 'Z', 'job.paused', errors + 1
          if value == 0 then due = 0 end
          paused[#paused + 1] = now
          paused[#paused + 1] = id
        else
          errors = errors + 1
        end
        if due > 0 then
          delayed[#delayed + 1] = due
          delayed[#delayed + 1] = id
        end
        state = letter .. ' ' .. counters .. ' ' .. crashes .. ' ' .. errors .. ' ' .. now .. ' '
          .. due .. rest .. '\n' .. tail
        emit(kind, job_item(id, detail, tail))
      end
      settled[#settled + 1] = id
      records[#records + 1] = KEYS[2 + i]
      records[#records + 1] = state
    end
  end

  if #settled > 0 then
    redis.call('HDEL', runs_key, unpack(settled))
    redis.call('MSET', unpack(records))
    if #delayed > 0 then
      redis.call('ZADD', prefix .. 'delayed', unpack(delayed))
      ring('bell!leader')
    end
    if #paused > 0 then redis.call('ZADD', prefix .. 'paused', unpack(paused)) end
    if #cancels > 0 then redis.call('SREM', prefix .. 'cancels:' .. node, unpack(cancels)) end
  end
end
local uniques = tonumber(ARGV[at + 1])
at = at + 1
for _ = 1, uniques do
  local id = release[tonumber(ARGV[at + 1])]
  if id then release_unique(ARGV[at + 2], id) end
  at = at + 2
end
announce_lanes()

-- Claim -------------------------------------------------------------------------------------
local wanted = tonumber(ARGV[at + 1])
local claims, claim_answer, left = {}, 'none', 0

-- The states of the upstream jobs that a record asks for.
local function upstream_of(record)
  local ident, policy = string.match(record, '^%S+ (%S+) (%S+)')
  local sources = in_workflow(ident) and policy_field(policy, 'U')
  if not sources then return {} end
  local names, values = {}, {}
  for source in string.gmatch(sources, '[^.]+') do
    names[#names + 1] = prefix .. 's:' .. source
  end
  for first = 1, #names, 1000 do
    local found = redis.call('MGET', unpack(names, first, math.min(first + 999, #names)))
    for _, value in ipairs(found) do values[#values + 1] = value or '' end
  end
  return values
end

if wanted > 0 then
  local lease = redis.call('ZSCORE', prefix .. 'leases', node)
  local turns = prefix .. 'turn:' .. node
  local last = redis.call('HGET', turns, slot)
  if not lease or tonumber(lease) < now then
    claim_answer = 'unregistered'
  elseif last and string.match(last, '^%d+') == number then
    -- The reply of this very turn was lost: what it claimed is handed out again.
    for id in string.gmatch(string.match(last, ' (.*)$'), '[^,]+') do
      local token = redis.call('HGET', runs_key, id)
      local record = redis.call('GET', prefix .. 'j:' .. id)
      if token and record and string.sub(token, 2, 27) == node then
        claims[#claims + 1] =
          { id, token, record, redis.call('GET', prefix .. 's:' .. id) or '', upstream_of(record) }
      end
    end
    claim_answer, left = 'ok', 1
  else
    claim_answer = 'ok'
    local tiers = { 'h', 'n', 'l' }
    local weights = { h = tonumber(ARGV[at + 2]), n = tonumber(ARGV[at + 3]), l = tonumber(ARGV[at + 4]) }
    local ticket, handlers = tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
    at = at + 6
    local exact, patterns = {}, {}
    for _ = 1, handlers do
      local pattern, handler = ARGV[at + 1], { version = ARGV[at + 2], free = tonumber(ARGV[at + 3]) }
      at = at + 3
      if string.sub(pattern, -1) == '*' then
        handler.stem = string.sub(pattern, 1, -2)
        patterns[#patterns + 1] = handler
      else
        exact[pattern] = handler
      end
    end
    -- Exact type first, else the longest pattern.
    local function handler_of(task_type)
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

    -- Lanes that this node serves now, oldest first, of each tier. Older ones that are for others
    -- are looked past, up to a thousand of them.
    local candidates, total = {}, 0
    local served = {}
    for _, tier in ipairs(tiers) do
      local lanes, first, names = {}, 0, nil
      repeat
        names = redis.call('ZRANGE', prefix .. 'ready:' .. tier, first, first + 99)
        first = first + 100
        for _, name in ipairs(names) do
          local task_type, version = string.match(name, '^([^:]*):(.*)$')
          local handler = handler_of(task_type)
          if handler and (version == '' or handler.version == '' or version == handler.version) then
            local lane = { lane = tier .. ':' .. name, name = name, handler = handler, task_type = task_type }
            served[#served + 1] = lane
            if handler.free > 0 then lanes[#lanes + 1] = lane end
          end
        end
      until #lanes > 0 or #names < 100 or first == 1000
      candidates[tier] = lanes
      if #lanes > 0 then total = total + weights[tier] end
    end

    -- Shares: seat s of all claims of the node belongs to the tier that s modulo the sum of the
    -- weights falls into, among tiers that have work.
    local quota = { h = 0, n = 0, l = 0 }
    if total > 0 then
      for seat = ticket, ticket + wanted - 1 do
        local place = seat % total
        for _, tier in ipairs(tiers) do
          if #candidates[tier] > 0 then
            if place < weights[tier] then
              quota[tier] = quota[tier] + 1
              break
            end
            place = place - weights[tier]
          end
        end
      end
    end

    local ids, lanes_of, marked = {}, {}, {}
    local function take(tier, want)
      local taken = 0
      for _, lane in ipairs(candidates[tier]) do
        local share = math.min(want - taken, lane.handler.free)
        if share > 0 and not lane.empty then
          local stream = prefix .. 'lane:' .. lane.lane
          local entries = redis.call('XRANGE', stream, '-', '+', 'COUNT', share + 1)
          local got = math.min(#entries, share)
          for i = 1, got do
            local fields = entries[i][2]
            ids[#ids + 1] = fields[2]
            if fields[1] == 's' then marked[#marked + 1] = #ids end
          end
          if #entries > share then
            local head = entries[share + 1][1]
            redis.call('XTRIM', stream, 'MINID', head)
            redis.call('ZADD', prefix .. 'ready:' .. tier, string.match(head, '^%d+'), lane.name)
          else
            redis.call('DEL', stream)
            redis.call('ZREM', prefix .. 'ready:' .. tier, lane.name)
            lane.empty = true
          end
          taken = taken + got
          lane.handler.free = lane.handler.free - got
        end
        if taken == want then break end
      end
      return taken
    end
    local open = wanted
    for _, tier in ipairs(tiers) do
      if quota[tier] > 0 then open = open - take(tier, quota[tier]) end
    end
    -- What a tier could not use goes to the others, most urgent first.
    for _, tier in ipairs(tiers) do
      if open > 0 then open = open - take(tier, open) end
    end

    if #ids > 0 then
      local names, states = {}, {}
      for i, id in ipairs(ids) do names[i] = prefix .. 'j:' .. id end
      local records = redis.call('MGET', unpack(names))
      if #marked > 0 then
        local state_names = {}
        for i, index in ipairs(marked) do state_names[i] = prefix .. 's:' .. ids[index] end
        local values = redis.call('MGET', unpack(state_names))
        for i, index in ipairs(marked) do states[index] = values[i] end
      end
      local kept, owners = {}, {}
      for i, id in ipairs(ids) do
        local record = records[i]
        -- A record that somebody deleted by hand leaves nothing to run.
        if record then
          local ident = string.match(record, '^%S+ (%S+)')
          local attempt, run = 1, 1
          local text = states[i]
          if text then
            attempt, run = string.match(text, '^%a (%d+) (%d+)')
            attempt, run = attempt + 1, run + 1
          end
          local detail = attempt .. US .. run .. US .. ident
          local token = '.' .. node .. ' ' .. now .. ' ' .. detail
          local n = #kept + 1
          kept[n] = id
          owners[2 * n - 1], owners[2 * n] = id, token
          claims[n] = { id, token, record, text or '',
            in_workflow(ident) and upstream_of(record) or {} }
          emit('job.started', id .. US .. detail)
        end
      end
      if #kept > 0 then
        redis.call('HSET', runs_key, unpack(owners))
        redis.call('HSET', turns, slot, number .. ' ' .. table.concat(kept, ','))
      end
    end
    -- Work that is left may be for others: the bell that brought this node here is passed on.
    for _, lane in ipairs(served) do
      if not lane.empty then
        if lane.handler.free > 0 then left = 1 end
        ring('bell:' .. lane.task_type)
      end
    end
  end
end

write_endings()
write_events(cap, node)
return { table.concat(answers), claim_answer, left, claims }
