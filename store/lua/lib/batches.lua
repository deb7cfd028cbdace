-- Batches, for commit.
-- bt:<id>  hash: r revision, s '<letter> <header as JSON>', n items, c created, d deadline, e ended,
--          x time of removal, k why somebody wants it cancelled, y last retry by hand, '<call>
--          <1 only what did not complete | 0>'; b last block of items, i newest iteration of an
--          item, o packs of what its onetime task left, p next block to remove, u first staged
-- bd:<id>  the definition without its items
-- bi:<id>  hash, number of a block of 32 items to '<packs of their first jobs>\n<ids, joined by US>', and
--          '<block>.<iteration>' to packs of jobs of later starts
-- bs:<id>  two bytes an item: letter and iteration
-- batches:active by creation, batches:unfinished, batches:alarms ('<id>', '<id> retry') as of workflows.
-- A batch stands where a workflow would in idents and in the inbox, behind '#', and its item where the
-- task would, as '<place>:<id>'; the iteration has three digits, so that a copy of a record can be given
-- another one in place.
local BLOCK = 32

-- Gives the job of a later start of an item the record of an earlier one.
local function copy_record(from, to, iteration)
  local source, copy = prefix .. 'j:' .. from, prefix .. 'j:' .. to
  local head = redis.call('GETRANGE', source, 0, 2047)
  local _, last = string.find(head, '^%d+ %S+')
  if last and redis.call('COPY', source, copy) == 1 then
    redis.call('SETRANGE', copy, last - 3, iteration)
  end
end

-- Enqueues items of a batch. Each group is of one block and one iteration: block, places in it (a
-- character each from '0' on), iteration, packs of the jobs, packs of those whose records they copy.
-- Returns where the arguments go on.
local function start_items(batch, at)
  local groups = tonumber(ARGV[at + 1])
  at = at + 1
  if groups == 0 then return at end
  local lane, mark = ARGV[at + 1], ARGV[at + 2]
  at = at + 2
  local blocks, known = {}, {}
  for group = 1, groups do
    local block = ARGV[at + 5 * group - 4]
    if not known[block] then
      blocks[#blocks + 1], known[block] = block, {}
    end
  end
  for i, text in ipairs(redis.call('HMGET', prefix .. 'bi:' .. batch, unpack(blocks))) do
    local names = known[blocks[i]]
    for name in string.gmatch(string.match(text or '', '\n(.*)$') or '', '[^\31]+') do
      names[#names + 1] = name
    end
  end
  local items, packs, newest = {}, {}, 0
  local common = US .. lane .. US .. '#' .. batch .. US
  for _ = 1, groups do
    local block, places, iteration = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    local ids, names, first = unpack_ids(ARGV[at + 4], {}), known[block], block * BLOCK
    for i, id in ipairs(ids) do
      local place = string.byte(places, i) - 48
      items[#items + 1] = id .. common .. (first + place) .. ':' .. (names[place + 1] or '') .. US
        .. iteration
    end
    if ARGV[at + 5] ~= '' then
      for i, from in ipairs(unpack_ids(ARGV[at + 5], {})) do copy_record(from, ids[i], iteration) end
      local field = block .. '.' .. tonumber(iteration)
      local before = redis.call('HGET', prefix .. 'bi:' .. batch, field)
      redis.call('HSET', prefix .. 'bi:' .. batch, field,
        (before and before .. ',' or '') .. ARGV[at + 4])
      newest = math.max(newest, tonumber(iteration))
    end
    packs[#packs + 1] = ARGV[at + 4]
    at = at + 5
  end
  if newest > 0 then redis.call('HSET', prefix .. 'bt:' .. batch, 'i', newest) end
  local all = table.concat(items, RS)
  enqueue_packs(lane, mark, table.concat(packs, ','), #items, all)
  emit_items('job.enqueued', '0' .. US .. '0', all, #items)
  return at
end

-- Adds to the list of what the onetime task left.
local function note_onetime(batch, id)
  local noted = redis.call('HGET', prefix .. 'bt:' .. batch, 'o')
  redis.call('HSET', prefix .. 'bt:' .. batch, 'o', (noted and noted .. ',' or '') .. id)
end

-- Makes the job of the onetime task. It is named by its start, so it may be there.
local function make_onetime(batch, id, body)
  if redis.call('SETNX', prefix .. 'j:' .. id, now .. ' ' .. body) == 0 then return end
  note_onetime(batch, id)
  local ident = string.match(body, '^(%S+)')
  local item = id .. US .. ident
  enqueue_packs(lane_of(ident), 'w', id, 1, item)
  emit_items('job.enqueued', '0' .. US .. '0', item, 1)
end

-- Makes what a start of the onetime task came to what the items read.
local function keep_onetime(batch, from, to)
  local state = read_state(from)
  if not state then return end
  write_state(to, state)
  note_onetime(batch, to)
end

local function mark_batch(id, wait, which)
  if wait == '-' then
    redis.call('ZREM', prefix .. 'batches:alarms', id .. which)
  elseif wait ~= '' then
    local moment = now + tonumber(wait)
    if which == '' then redis.call('HSET', prefix .. 'bt:' .. id, 'd', moment) end
    redis.call('ZADD', prefix .. 'batches:alarms', moment, id .. which)
  end
end

-- Writes the next state of a batch and what follows from it. Its arguments are: header ('' as it is),
-- revision; runs of items: how many, and of each the first byte and the bytes; events: kind, how many, items;
-- what start_items() takes; the onetime task's job and body, '' when none is made; the start of it that
-- is kept and what it is kept as, ''; jobs to cancel: how many, why, each; alarms: ms until the deadline,
-- until the next attempt ('' as it is, '-' none); '1' when there is more to do; '1' when it ends. Returns
-- where the arguments go on.
local function write_batch(id, at, closed, retention)
  local record = prefix .. 'bt:' .. id
  if ARGV[at + 1] == '' then
    redis.call('HSET', record, 'r', ARGV[at + 2])
  else
    redis.call('HSET', record, 's', ARGV[at + 1], 'r', ARGV[at + 2])
  end
  local runs = tonumber(ARGV[at + 3])
  at = at + 3
  for _ = 1, runs do
    redis.call('SETRANGE', prefix .. 'bs:' .. id, ARGV[at + 1], ARGV[at + 2])
    at = at + 2
  end
  local events = tonumber(ARGV[at + 1])
  at = at + 1
  for _ = 1, events do
    emit(ARGV[at + 1], ARGV[at + 3], tonumber(ARGV[at + 2]))
    at = at + 3
  end
  at = start_items(id, at)
  if ARGV[at + 1] ~= '' then make_onetime(id, ARGV[at + 1], ARGV[at + 2]) end
  if ARGV[at + 3] ~= '' then keep_onetime(id, ARGV[at + 3], ARGV[at + 4]) end
  local cancels, why = tonumber(ARGV[at + 5]), ARGV[at + 6]
  at = at + 6
  -- What is cancelled may have been started by the same commit.
  for i = 1, cancels do cancel_job(ARGV[at + i], why, 0) end
  at = at + cancels
  local more, ends = ARGV[at + 3] == '1', ARGV[at + 4] == '1'
  if ends then
    closed[#closed + 1] = id
    local until_when = retention == 0 and 0 or now + retention
    redis.call('HSET', record, 'e', now, 'x', until_when)
    redis.call('ZADD', prefix .. 'ended', retention == 0 and '+inf' or until_when, now .. 'b' .. id)
    redis.call('ZREM', prefix .. 'batches:active', id)
    unmark('batches', id)
  else
    mark_batch(id, ARGV[at + 1], '')
    mark_batch(id, ARGV[at + 2], ' retry')
    redis.call(more and 'SADD' or 'SREM', prefix .. 'batches:unfinished', id)
  end
  return at + 4
end
