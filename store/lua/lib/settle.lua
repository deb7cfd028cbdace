-- What becomes of runs that ended.
-- By place among the settles: the answer, and the id of the job if it ended.
local answers, ended, followed_ids = {}, {}, nil
local settled, delayed, paused, cancels = {}, {}, {}, {}

local ENDED = { C = 'job.completed', K = 'job.completed', D = 'job.dead', X = 'job.cancelled' }
local WAITS = { R = 'job.failed', P = 'job.scheduled', Z = 'job.paused' }

-- Settles one run that the caller owns. `text` is the state from before the run, if there is one.
local function settle_run(place, id, run, ident, tail, text, cancelled)
  local code, value, detail = run.code, run.number, run.begins .. US .. ident
  local crashes, errors, rest = '0', '0', ''
  if text then
    crashes, errors, rest = string.match(text, '^%a %d+ %d+ (%d+) (%d+) %d+ %S+([^\n]*)\n')
  end
  local counters, told = run.counters, nil
  if code == 'N' then
    -- Completed, and its workflow is to go on as a new one: the leader is told, and the record says it
    -- to whoever looks later.
    code, told, rest = 'C', 'N', rest .. ' n'
  end
  if cancelled then
    local doom = redis.call('HGET', prefix .. 'doomed', id)
    local attempt, number = string.match(run.begins, '^(%d+)\31(%d+)')
    cancels[#cancels + 1] = id .. ' ' .. number
    if doom then redis.call('HDEL', prefix .. 'doomed', id) end
    if not doom then
      code, value, tail = 'X', run.cancelled_retention, 'cancelled while it ran'
    elseif string.sub(doom, 1, 1) == 'D' then
      code, value, tail = 'D', run.cancelled_retention, string.sub(doom, 3)
      counters = attempt .. ' ' .. number
    elseif code ~= 'C' and code ~= 'K' then
      -- It is to run again, unless there is nothing left to do.
      code, counters = 'L', (attempt - 1) .. ' ' .. number
    end
  end
  if code == 'r' then
    code = 'R'
    local due = redis.call('ZSCORE', prefix .. 'timers', 'M' .. id)
    if due and now + value > tonumber(due) then
      code, value = 'D', run.cancelled_retention
      tail = 'max_duration: the next attempt would begin too late; the last one failed: ' .. tail
    end
  end
  local x
  if ENDED[code] then
    if code == 'D' then errors = errors + 1 elseif code == 'C' then errors = '0' end
    x = removal_time(value, run.workflow)
    emit_job(ENDED[code], id, detail, code ~= 'C' and tail)
    book_end(id, code, detail, value, run.workflow, tail, code == 'C' and told)
    ended[place] = id
  elseif code == 'L' or (code == 'P' and value == 0) then
    code, tail, x = 'P', '', '-'
    enqueue(lane_of(ident), id)
    emit_job('job.dispatched', id, detail)
  else
    x = now + value
    if code == 'P' then
      errors = '0'
    else
      errors = errors + 1
    end
    if code == 'Z' then
      if value == 0 then x = 0 end
      paused[#paused + 1] = now
      paused[#paused + 1] = id
    end
    if x > 0 then
      delayed[#delayed + 1] = x
      delayed[#delayed + 1] = id
    end
    emit_job(WAITS[code], id, detail, tail)
    if code == 'P' then code = 'S' end
  end
  write_state(id, code .. ' ' .. counters .. ' ' .. crashes .. ' ' .. errors .. ' ' .. now .. ' '
    .. x .. rest .. '\n' .. tail)
  settled[#settled + 1] = id
end

-- Most runs: the first of their jobs, and they completed. They share all but id and result.
local function complete_runs(run, ids, tails)
  local place = run.first
  for one in string.gmatch(run.packs, '[^,]+') do
    local fields, n = {}, 0
    for at = 26, #one do
      fields[n + 1], fields[n + 2] = string.sub(one, at, at), run.completed .. tails[place]
      settled[#settled + 1] = ids[place]
      n, place = n + 2, place + 1
    end
    redis.call('HSET', prefix .. 's:' .. stem_of(one), unpack(fields))
  end
  if run.workflow then
    emit_items('job.completed', run.begins, run.items, run.last - run.first + 1)
    book_items(run.begins, run.items, ids, run.first, run.last)
  else
    emit_jobs('job.completed', run.packs, run.last - run.first + 1, run.begins .. US .. run.ident)
    book_ends(run.packs, 'C', run.number, run.last - run.first + 1)
  end
end

-- Reads groups of alike runs from ARGV behind `at`, with ids and tails of all of them.
-- Returns where the arguments go on.
local function read_settles(count, at, cancelled_retention, runs, ids, tails)
  for group = 1, count do
    local head, token, number = ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
    local run = {
      code = string.sub(head, 1, 1), workflow = string.sub(head, 2, 2) == 'w',
      counters = string.sub(head, 4), token = token, begins = string.sub(token, 43),
      number = number, cancelled_retention = cancelled_retention,
      marked = string.sub(token, 1, 1) == ':', packs = ARGV[at + 4], first = #ids + 1,
    }
    unpack_ids(run.packs, ids)
    run.last = #ids
    if run.code == 'C' and not run.marked then
      run.completed = 'C ' .. run.counters .. ' 0 0 ' .. now .. ' '
        .. removal_time(number, run.workflow) .. '\n'
    end
    at = at + 5
    if run.workflow then run.items = ARGV[at] else run.ident = ARGV[at] end
    for place = run.first, run.last do
      at = at + 1
      tails[place] = ARGV[at]
    end
    runs[group] = run
  end
  return at
end

-- Settles the runs of a group one by one.
local function settle_each(run, ids, tails, owners)
  local places, looked_at, texts, idents = {}, {}, {}, {}
  for item in string.gmatch(run.items or '', '[^\30]+') do idents[#idents + 1] = string.sub(item, 28) end
  for place = run.first, run.last do
    if run.marked or not owners[place] then
      places[#places + 1], looked_at[#looked_at + 1] = place, ids[place]
    end
  end
  for i, text in ipairs(read_states(looked_at)) do texts[places[i]] = text end
  for place = run.first, run.last do
    local owner, text = owners[place], texts[place]
    local ident = run.ident or idents[place - run.first + 1]
    if owner == run.token then
      answers[place] = '.'
      settle_run(place, ids[place], run, ident, tails[place], text, false)
    elseif owner and CANCELLING[string.sub(owner, 1, 1)]
      and string.sub(owner, 2) == string.sub(run.token, 2) then
      answers[place] = 'c'
      settle_run(place, ids[place], run, ident, tails[place], text, true)
    else
      local number = tonumber(string.match(run.counters, '%d+$'))
      answers[place] = not owner and text and parse_state(text).run == number and 'r' or 'f'
      text = text or read_state(ids[place])
      if answers[place] == 'f' and text then
        local head, rest = string.match(text, '^([^\n]*)(\n.*)$')
        -- A turn that is sent again is refused again, and has told it.
        if number > tonumber(string.match(head, ' f(%d+)') or 0) then
          write_state(ids[place], string.gsub(head, ' f%d+', '') .. ' f' .. number .. rest)
          emit_job('job.fenced', ids[place], run.begins .. US .. ident,
            'the end of a run that had been given up was refused')
        end
      end
    end
  end
end

-- Whether all runs of a group are as they were claimed.
local function all_own(run, owners)
  for place = run.first, run.last do
    if owners[place] ~= run.token then return false end
  end
  return true
end

-- Returns where the arguments go on.
local function settle(groups, at, cancelled_retention)
  if groups == 0 then return at end
  local runs, ids, tails = {}, {}, {}
  at = read_settles(groups, at, cancelled_retention, runs, ids, tails)
  followed_ids = ids
  local owners = redis.call('HMGET', KEYS[2], unpack(ids))
  for _, run in ipairs(runs) do
    if run.completed and all_own(run, owners) then
      complete_runs(run, ids, tails)
      for place = run.first, run.last do answers[place], ended[place] = '.', ids[place] end
    else
      settle_each(run, ids, tails, owners)
    end
  end

  if #settled > 0 then
    redis.call('HDEL', KEYS[2], unpack(settled))
    if #delayed > 0 then
      redis.call('ZADD', prefix .. 'delayed', unpack(delayed))
      ring('bell!leader')
    end
    if #paused > 0 then redis.call('ZADD', prefix .. 'paused', unpack(paused)) end
    if #cancels > 0 then
      redis.call('SREM', prefix .. 'cancels:' .. ARGV[1], unpack(cancels))
    end
  end
  return at
end

-- What follows from runs that were settled now: how many fields, then each with its places.
local function follow_settles(at)
  local count = tonumber(ARGV[at + 1])
  at = at + 1
  for _ = 1, count do
    local field, slots = ARGV[at + 1], {}
    local is_limit = string.sub(field, 1, 1) == 'l'
    for digits in string.gmatch(ARGV[at + 2], '%d+') do
      local place = tonumber(digits)
      local answer = answers[place]
      if answer ~= '.' and answer ~= 'c' then
        -- It was settled before, or is not this node's.
      elseif is_limit then
        slots[#slots + 1] = followed_ids[place]
      else
        follow_field(field, followed_ids[place], ended[place] ~= nil)
      end
    end
    if #slots > 0 then limits().release_all(string.sub(field, 2), slots) end
    at = at + 2
  end
  return at
end
