#!lua
--[[ submit: accepts up to 100 jobs, each on its own terms.
  keys    1 events, then one record (j:<id>) for each job, then the unique and idempotency keys
  args    1 event cap, 2 number of jobs, then for each job '<ident> <policy>\n<body>', then
          extras, four each: job (from 1), kind, value, index in KEYS (0: none)
          kinds  u  unique key            i  idempotency key, kept for value ms
                 d  delay in ms           a  due at ms          t  tag
  reply   for each job: '+' created, '=' sent before, '=<id>' made before by the idempotency key,
          '!u<id>' the unique key is held by that job, '!p<now>' due in the past
  events  job.enqueued, job.scheduled
]]
--@include lib/base.lua
--@include lib/events.lua
--@include lib/lanes.lua

local cap, count = ARGV[1], tonumber(ARGV[2])
local extras = {}
for i = 3 + count, #ARGV, 4 do
  local job = tonumber(ARGV[i])
  local list = extras[job] or {}
  extras[job] = list
  list[#list + 1] = { ARGV[i + 1], ARGV[i + 2], KEYS[tonumber(ARGV[i + 3])] }
end

local known = redis.call('EXISTS', unpack(KEYS, 2, 1 + count)) > 0
local records, replies, held = {}, {}, {}

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

for i = 1, count do
  local record_key = KEYS[1 + i]
  local id = string.sub(record_key, -26)
  local list = extras[i]
  local due, verdict
  if known and redis.call('EXISTS', record_key) == 1 then
    verdict = '='
  elseif list then
    due, verdict = examine(list)
  end
  if not verdict then
    local rest = ARGV[2 + i]
    local ident = string.match(rest, '^%S+')
    local lane = string.match(ident, '^[^\31]+')
    local entry
    if due then
      entry = now .. '-d'
      redis.call('ZADD', prefix .. 'delayed', due, id)
      records[#records + 1] = prefix .. 's:' .. id
      records[#records + 1] = 'S 0 0 0 0 ' .. now .. ' ' .. due .. '\n'
      emit('job.scheduled', id .. US .. '0' .. US .. '0' .. US .. ident)
    else
      entry = enqueue(lane, 'j', id)
      emit('job.enqueued', id .. US .. '0' .. US .. '0' .. US .. ident)
    end
    records[#records + 1] = record_key
    records[#records + 1] = entry .. ' ' .. rest
    if list then
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
        end
      end
      -- A delayed job may be due before the moment that the leader sleeps until.
      if due then ring('bell!leader') end
    end
    verdict = '+'
  end
  replies[i] = verdict
end
if #records > 0 then redis.call('MSET', unpack(records)) end
announce_lanes()
write_events(cap)
return replies
