#!lua flags=allow-oom
--[[ commit: saves the next state of workflows and batches with all that follows from it, and takes the
     inbox entries that caused it away, all or nothing.
  keys    1 events, 2 inbox, 3 leader
  args    1 term, 2 event cap, 3 retention of workflows and batches in ms, then lists, each
          its length and then
          workflows: id, expected revision
          batches: id, expected revision
          for each workflow a list of its own: field, value
          workflows that come to their outcome
          workflows of which nothing is under way any more
          alarms: member of workflows:alarms, ms from now or '-' to disarm
          workflows with more to do, workflows without
          groups of jobs: mark and lane that they are enqueued with, jobs, packs, items
          bodies of those jobs, '<ident> <policy>\n<body>'
          what few commits have, four each, see lib/consequences.lua
          jobs to cancel: job, why
          events: kind, how many, items
          for each batch what write_batch() takes, see lib/batches.lua
          inbox entries that are done with, parked items, workflows to unmark (unfinished, overdue),
          batches to unmark
          and at last: read ahead after ('' from the oldest), how many entries (0 none)
  reply   {'ok', {for each entry read ahead: {id, fields}}}
          | {'differs', a letter for each workflow, then batch: '.' as expected, s stale, m missing}: nothing
            was written, but that the missing ones lost their marks
          | {'fenced', newest term}
  events  those of the commits, job.enqueued, job.cancelled
]]
--@include lib/base.lua
--@include lib/events.lua
--@include lib/lanes.lua
--@include lib/jobs.lua
--@include lib/endings.lua
--@include lib/cancelling.lua
--@include lib/term.lua

local refusal = fenced()
if refusal then return refusal end
local cap, retention = ARGV[2], tonumber(ARGV[3])
local at = 3
local function arg()
  at = at + 1
  return ARGV[at]
end

local function unmark(kind, id)
  redis.call('SREM', prefix .. kind .. ':unfinished', id)
  redis.call('ZREM', prefix .. kind .. ':alarms', id, id .. ' retry')
end

local count = tonumber(arg())
local workflows, letters, differs = {}, {}, false
for i = 1, count do
  local id, expected = arg(), arg()
  workflows[i] = prefix .. 'wf:' .. id
  local revision = redis.call('HGET', workflows[i], 'r')
  letters[i] = revision == expected and '.' or revision and 's' or 'm'
  if revision ~= expected then differs = true end
  if not revision then
    unmark('workflows', id)
    redis.call('ZREM', prefix .. 'workflows:active', id)
  end
end
local batches, batch_count = {}, tonumber(arg())
for i = 1, batch_count do
  local id, expected = arg(), arg()
  batches[i] = id
  local revision = redis.call('HGET', prefix .. 'bt:' .. id, 'r')
  letters[count + i] = revision == expected and '.' or revision and 's' or 'm'
  if revision ~= expected then differs = true end
  if not revision then
    unmark('batches', id)
    redis.call('ZREM', prefix .. 'batches:active', id)
  end
end
if differs then return { 'differs', table.concat(letters) } end

for i = 1, count do
  local last = at + 1 + 2 * tonumber(arg())
  while at < last do
    -- More than some 7,000 values at once are too many for Lua.
    local upto = math.min(last, at + 4000)
    redis.call('HSET', workflows[i], unpack(ARGV, at + 1, upto))
    at = upto
  end
end

local closed = {}
for i = 1, tonumber(arg()) do
  local id = arg()
  closed[i] = id
  redis.call('HSET', prefix .. 'wf:' .. id, 'e', now, 'x', retention == 0 and 0 or now + retention)
  redis.call('ZADD', prefix .. 'ended', retention == 0 and '+inf' or now + retention,
    now .. 'w' .. id)
end
for _ = 1, tonumber(arg()) do
  local id = arg()
  redis.call('ZREM', prefix .. 'workflows:active', id)
  redis.call('ZREM', prefix .. 'workflows:alarms', id, id .. ' retry')
end

for _ = 1, tonumber(arg()) do
  local member, wait = arg(), arg()
  if wait == '-' then
    redis.call('ZREM', prefix .. 'workflows:alarms', member)
  else
    local moment = now + tonumber(wait)
    if #member == 26 then redis.call('HSET', prefix .. 'wf:' .. member, 'd', moment) end
    redis.call('ZADD', prefix .. 'workflows:alarms', moment, member)
  end
end

-- Adds a list to a set, or takes it out.
local function mark(command)
  local length = tonumber(arg())
  if length > 0 then
    redis.call(command, prefix .. 'workflows:unfinished', unpack(ARGV, at + 1, at + length))
  end
  at = at + length
end
mark('SADD')
mark('SREM')

local function enqueued(lane, lane_mark, jobs, packs, items)
  enqueue_packs(lane, lane_mark, packs, jobs, items)
  emit_items('job.enqueued', '0' .. US .. '0', items, jobs)
end

-- The jobs of all commits. A dispatched task keeps the name of its job, so one may be there.
local groups = {}
for i = 1, tonumber(arg()) do
  groups[i] = { mark = arg(), lane = arg(), jobs = tonumber(arg()), packs = arg(), items = arg() }
end
local names, records, bodies = {}, {}, tonumber(arg())
for _, group in ipairs(groups) do unpack_ids(group.packs, names, prefix .. 'j:') end
for i = 1, bodies do
  records[2 * i - 1], records[2 * i] = names[i], now .. ' ' .. arg()
end
local all_new = bodies == 0 or redis.call('MSETNX', unpack(records)) == 1
local consequences = at + 1
at = consequences + 4 * tonumber(arg())

local cancels = {}
for i = 1, tonumber(arg()) do cancels[i] = { arg(), arg() } end
for _ = 1, tonumber(arg()) do
  local kind, how_many, items = arg(), tonumber(arg()), arg()
  emit(kind, items, how_many)
end

local place = 0
for _, group in ipairs(groups) do
  if all_new then
    enqueued(group.lane, group.mark, group.jobs, group.packs, group.items)
  else
    for _, id in ipairs(unpack_ids(group.packs, {})) do
      place = place + 1
      if redis.call('SETNX', names[place], records[2 * place]) == 1 then
        enqueued(group.lane, group.mark, 1, id, items_of(group.items, { id }, 1, 1))
      end
    end
  end
end
if ARGV[consequences] ~= '0' then
--@include-here lib/consequences.lua
  follow_consequences(consequences)
end
-- What is cancelled may have been dispatched by the same commit.
for _, cancel in ipairs(cancels) do cancel_job(cancel[1], cancel[2], 0) end

if batch_count > 0 then
--@include lib/batches.lua
  for _, id in ipairs(batches) do at = write_batch(id, at, closed, retention) end
end

local consumed = tonumber(arg())
if consumed > 0 then redis.call('XDEL', KEYS[2], unpack(ARGV, at + 1, at + consumed)) end
at = at + consumed
for _ = 1, tonumber(arg()) do
  redis.call('LPUSH', prefix .. 'parked', arg())
  redis.call('LTRIM', prefix .. 'parked', 0, 999)
end
for _ = 1, tonumber(arg()) do unmark('workflows', arg()) end
for _ = 1, tonumber(arg()) do unmark('batches', arg()) end

announce_lanes()
write_endings()
tell_waiters(closed)
write_events(cap)

local after, ahead = arg(), tonumber(arg())
local entries = {}
if ahead > 0 then
  entries = redis.call('XRANGE', KEYS[2], after == '' and '-' or '(' .. after, '+', 'COUNT', ahead)
end
return { 'ok', entries }
