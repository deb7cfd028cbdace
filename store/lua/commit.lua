#!lua flags=allow-oom
--[[ commit: saves the next state of workflows with all that follows from it, and takes the inbox
     entries that caused it away, all or nothing for each workflow.
  keys    1 events, 2 inbox, 3 leader
  args    1 term, 2 event cap, 3 retention of workflows in ms,
          4 number of entries, entries,
          number of parked items, items,
          number of workflows to unmark (unfinished, overdue), workflows,
          read ahead after ('' from the oldest), read ahead count (0 none),
          number of commits, for each:
            workflow, expected revision, header ('' unchanged), more (0|1),
            deadline ('' keep, '-' disarm, ms from now), close (0|1),
            n, n times: task field, record,
            n, n times: job, '<ident> <policy>\n<body>',
            n, reason, n times: job to cancel,
            n, n times: kind, item
  reply   {'ok', {for each commit: 'c<revision>' | 's' stale | 'm' missing},
          {for each entry read ahead: {id, items}}} | {'fenced', newest term}
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
local function list()
  local items = {}
  for i = 1, tonumber(arg()) do items[i] = arg() end
  return items
end

local consumed, parked, unmarked = list(), list(), list()
local after, ahead = arg(), tonumber(arg())
local outcomes, whole = {}, true
local closed, marked, finished = {}, {}, {}
local jobs, bodies, names, cancels = {}, {}, {}, {}

local function unmark(id)
  redis.call('SREM', prefix .. 'workflows:unfinished', id)
  redis.call('ZREM', prefix .. 'workflows:deadlines', id)
end

-- Skips the lists of a commit that is refused.
local function skip()
  for _, width in ipairs({ 2, 2, 1, 2 }) do
    local count = tonumber(arg())
    if width == 1 then arg() end
    at = at + count * width
  end
end

for i = 1, tonumber(arg()) do
  local id, expected, header, more, deadline, close = arg(), arg(), arg(), arg(), arg(), arg()
  local record = prefix .. 'wf:' .. id
  local revision = redis.call('HGET', record, 'r')
  if not revision then
    outcomes[i] = 'm'
    unmark(id)
    redis.call('ZREM', prefix .. 'workflows:active', id)
    skip()
  elseif revision ~= expected then
    outcomes[i], whole = 's', false
    skip()
  else
    local fields = { 'r', string.format('%.0f', tonumber(revision) + 1) }
    outcomes[i] = 'c' .. fields[2]
    if header ~= '' then
      fields[#fields + 1] = 's'
      fields[#fields + 1] = header
    end
    if close == '1' then
      fields[#fields + 1] = 'e'
      fields[#fields + 1] = now
      fields[#fields + 1] = 'x'
      fields[#fields + 1] = retention == 0 and 0 or now + retention
      closed[#closed + 1] = id
      deadline, more = '-', '0'
      redis.call('ZREM', prefix .. 'workflows:active', id)
      redis.call('ZADD', prefix .. 'ended', retention == 0 and '+inf' or now + retention,
        now .. 'w' .. id)
    end
    if deadline == '-' then
      redis.call('ZREM', prefix .. 'workflows:deadlines', id)
    elseif deadline ~= '' then
      local moment = now + tonumber(deadline)
      fields[#fields + 1] = 'd'
      fields[#fields + 1] = moment
      redis.call('ZADD', prefix .. 'workflows:deadlines', moment, id)
    end
    local marks = more == '1' and marked or finished
    marks[#marks + 1] = id
    for _ = 1, 2 * tonumber(arg()) do fields[#fields + 1] = arg() end
    redis.call('HSET', record, unpack(fields))

    for _ = 1, tonumber(arg()) do
      local n = #jobs + 1
      jobs[n], bodies[n] = arg(), arg()
      names[n] = prefix .. 'j:' .. jobs[n]
    end

    local count, reason = tonumber(arg()), arg()
    for _ = 1, count do cancels[#cancels + 1] = { arg(), reason } end
    for _ = 1, tonumber(arg()) do emit(arg(), arg()) end
  end
end

-- The jobs of all commits. A dispatched task keeps the name of its job, so one may be there.
if #jobs > 0 then
  local known, records = redis.call('EXISTS', unpack(names)) > 0, {}
  for n, job in ipairs(jobs) do
    if not known or redis.call('EXISTS', names[n]) == 0 then
      local ident = string.match(bodies[n], '^%S+')
      records[#records + 1] = names[n]
      records[#records + 1] = now .. ' ' .. bodies[n]
      enqueue(lane_of(ident), 'w', job)
      emit_job('job.enqueued', job, detail_of('0', '0', ident))
    end
  end
  if #records > 0 then redis.call('MSET', unpack(records)) end
end
-- What is cancelled may have been dispatched by the same commit.
for _, cancel in ipairs(cancels) do cancel_job(cancel[1], cancel[2], 0) end
if #marked > 0 then redis.call('SADD', prefix .. 'workflows:unfinished', unpack(marked)) end
if #finished > 0 then redis.call('SREM', prefix .. 'workflows:unfinished', unpack(finished)) end

if whole then
  if #consumed > 0 then redis.call('XDEL', KEYS[2], unpack(consumed)) end
  for _, item in ipairs(parked) do
    redis.call('LPUSH', prefix .. 'parked', item)
    redis.call('LTRIM', prefix .. 'parked', 0, 999)
  end
  for _, id in ipairs(unmarked) do unmark(id) end
end
announce_lanes()
write_endings()
tell_waiters(closed)
write_events(cap)

local next_entries = {}
if ahead > 0 then
  local entries = redis.call('XRANGE', KEYS[2], after == '' and '-' or '(' .. after, '+',
    'COUNT', ahead)
  for i, entry in ipairs(entries) do next_entries[i] = { entry[1], entry[2][2] } end
end
return { 'ok', outcomes, next_entries }
