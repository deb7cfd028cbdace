#!lua
--[[ submit: accepts up to 100 jobs, each on its own terms.
  keys    1 events, then the unique and idempotency keys
  args    1 event cap, 2 number of groups of jobs that follow one another with one lane and one
          mark, 3 number of jobs, 4 plain ('1' when no job has extras and no id is there twice), for
          each group: lane, mark ('l' and the keys of its limits joined by US), jobs, packs of ids;
          then for each job '<ident> <policy>\n<body>', then
          extras, four each: job (from 1), kind, value, index in KEYS (0: none)
          kinds  u  unique key            i  idempotency key, kept for value ms
                 d  delay in ms           a  due at ms          t  tag
                 x  it must start within value ms
                 A  its events are kept with it
  reply   {one letter a job: '+' created, '=' sent before, '?' see below,
           for each '?': '=<id>' made before by the idempotency key, '!u<id>' the unique key is
           held by that job, '!p<now>' due in the past}
  events  job.enqueued, job.scheduled
]]
--@include lib/base.lua
--@include lib/events.lua
--@include lib/lanes.lua
--@include lib/jobs.lua
--@include lib/auditing.lua

local cap, groups, count = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local bodies = 4 + 4 * groups

-- The mark of an entry in a lane, and what stands beside it.
local function mark_of(text)
  local keys = string.sub(text, 2)
  return string.sub(text, 1, 1), keys ~= '' and keys or nil
end

-- All jobs are alike but for id and body, and none of them is known: the usual call.
local function submit_plain()
  local records, names = {}, {}
  for group = 5, bodies, 4 do unpack_ids(ARGV[group + 3], names, prefix .. 'j:') end
  local created = now .. ' '
  for i = 1, count do
    records[2 * i - 1], records[2 * i] = names[i], created .. ARGV[bodies + i]
  end
  if redis.call('MSETNX', unpack(records)) == 0 then return false end
  for group = 5, bodies, 4 do
    local lane, jobs, packs = ARGV[group], tonumber(ARGV[group + 2]), ARGV[group + 3]
    local mark, keys = mark_of(ARGV[group + 1])
    enqueue_packs(lane, mark, packs, jobs, keys)
    emit_jobs('job.enqueued', packs, jobs, '0' .. US .. '0' .. US .. lane)
  end
  return true
end

local function read_extras()
  local extras = {}
  for i = bodies + count + 1, #ARGV, 4 do
    local job = tonumber(ARGV[i])
    local list = extras[job] or {}
    extras[job] = list
    list[#list + 1] = { ARGV[i + 1], ARGV[i + 2], KEYS[tonumber(ARGV[i + 3])] }
  end
  return extras
end

-- Keys that this call has set, and records that it will set.
local held, made = {}, {}

-- What stands in the way of a job with extras, and when it is due.
local function examine(list)
  local due, verdict
  for _, extra in ipairs(list) do
    local kind, value, name = extra[1], extra[2], extra[3]
    if kind == 'i' then
      local first = held[name] or redis.call('GET', name)
      if first then return nil, '=' .. first end
    elseif kind == 'u' then
      local holder = held[name] or redis.call('GET', name)
      if holder then verdict = '!u' .. holder end
    elseif kind == 'd' then
      due = now + tonumber(value)
    elseif kind == 'a' then
      due = tonumber(value)
      if due <= now then verdict = verdict or '!p' .. now end
    end
  end
  return due, verdict
end

-- Sets what the extras of an accepted job ask for.
local function keep_extras(id, list, due)
  for _, extra in ipairs(list) do
    local kind, value, name = extra[1], extra[2], extra[3]
    if kind == 'u' then
      redis.call('SET', name, id)
      held[name] = id
    elseif kind == 'i' then
      redis.call('SET', name, id, 'PX', value)
      held[name] = id
    elseif kind == 't' then
      redis.call('ZADD', prefix .. 'tag:' .. value, now, id)
    elseif kind == 'A' then
      audit(id)
    elseif kind == 'x' and not due then
      redis.call('ZADD', prefix .. 'timers', now + value, 'S' .. id)
    end
  end
end

-- Each job by itself. Returns the letters, and the details of those that are not plain.
local function submit_each()
  local extras, letters, details, records = read_extras(), {}, {}, {}
  local place = 0
  for group = 5, bodies, 4 do
    local lane = ARGV[group]
    local mark, keys = mark_of(ARGV[group + 1])
    local detail = '0' .. US .. '0' .. US .. lane
    for _, id in ipairs(unpack_ids(ARGV[group + 3], {})) do
      place = place + 1
      local name, list = prefix .. 'j:' .. id, extras[place]
      local due, verdict
      if made[name] or redis.call('EXISTS', name) == 1 then
        verdict = '='
      elseif list then
        due, verdict = examine(list)
      end
      if not verdict then
        verdict = '+'
        if due then
          redis.call('ZADD', prefix .. 'delayed', due, id)
          write_state(id, 'S 0 0 0 0 ' .. now .. ' ' .. due .. '\n')
          emit_job('job.scheduled', id, detail)
          -- It may be due before the moment that the leader sleeps until.
          ring('bell!leader')
        else
          enqueue_packs(lane, mark, id, 1, keys)
          emit_job('job.enqueued', id, detail)
        end
        made[name] = true
        records[#records + 1] = name
        records[#records + 1] = now .. ' ' .. ARGV[bodies + place]
        if list then keep_extras(id, list, due) end
      end
      letters[place] = #verdict > 1 and '?' or verdict
      if #verdict > 1 then details[#details + 1] = verdict end
    end
  end
  if #records > 0 then redis.call('MSET', unpack(records)) end
  return table.concat(letters), details
end

local letters, details = string.rep('+', count), {}
if ARGV[4] ~= '1' or not submit_plain() then letters, details = submit_each() end
announce_lanes()
write_events(cap)
return { letters, unpack(details) }
