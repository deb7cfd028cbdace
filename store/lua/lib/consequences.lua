--@include lib/making.lua
--@include lib/succeeding.lua
-- What few commits have beside records, plain jobs and events. Four arguments each: a letter and
--   j  job, '<ident> <policy>\n<body>', '': a job with limits, moments, tags or a trail
--   v  job, JSON, '': a result of what ran on no node, or of a job whose answer is of no use
--   s  job, workflow, number: the same, it is the payload of a signal, which is taken by that
--   h  workflow, field of wh:<id>, record: a start of a task that is over
--   p  post as JSON, '', '': what another instance must be told
--   n  workflow, new workflow, job: the instance that it goes on as; see succeeding.lua
--   d  workflow, index, '': a task that went with its section; they come last of their workflow

-- Leaves a result under the job of a task that ran on no node. One that is there stays.
local function conclude(job, result)
  redis.call('HSETNX', prefix .. 's:' .. stem_of(job), string.sub(job, 26),
    'C 0 0 0 0 ' .. now .. ' 0\n' .. result)
end

-- The same, but what a job answered makes room: it was not what was asked for.
local function conclude_over(job, result)
  local name, last = prefix .. 's:' .. stem_of(job), string.sub(job, 26)
  local before = redis.call('HGET', name, last)
  if redis.call('EXISTS', prefix .. 'j:' .. job) == 0 or not before then return conclude(job, result) end
  local head = string.match(before, '^C [^\n]*\n')
  if head then redis.call('HSET', name, last, head .. result) end
end

-- Makes the job of a task. A dispatched task keeps the name of its job, so it may be there.
local function make_task_job(id, body)
  if redis.call('EXISTS', prefix .. 'j:' .. id) == 1 then return end
  local ident, _, policy = record_job(id, body)
  arm_start(id, policy)
  enqueue(lane_of(ident), id)
  emit_job('job.enqueued', id, '0' .. US .. '0' .. US .. ident)
end

local function take_signal(workflow, number)
  local name, field = prefix .. 'sg:' .. workflow, tostring(number)
  local signal = redis.call('HGET', name, field)
  redis.call('HDEL', name, field)
  redis.call('HDEL', prefix .. 'wf:' .. workflow, 'g' .. field)
  -- '<sent ms> <name>\n<payload>'
  return signal and string.match(signal, '^[^\n]*\n(.*)$') or 'null'
end

-- Moves the record of a task, '<letter> <iteration> ...', to those of starts that are over.
local function put_away(workflow, index)
  local name, field = prefix .. 'wf:' .. workflow, 't' .. index
  local record = redis.call('HGET', name, field)
  if record then
    local iteration = string.match(record, '^%a (%d+)')
    redis.call('HSET', prefix .. 'wh:' .. workflow, index .. '.' .. iteration, record)
  end
  redis.call('HDEL', name, field, 'x' .. index)
end

-- ARGV[first] says how many there are.
local function follow_consequences(first)
  for place = first + 1, first + 4 * tonumber(ARGV[first]), 4 do
    local letter, one, two, three = ARGV[place], ARGV[place + 1], ARGV[place + 2], ARGV[place + 3]
    if letter == 'j' then
      make_task_job(one, two)
    elseif letter == 'v' then
      conclude_over(one, two)
    elseif letter == 's' then
      conclude(one, take_signal(two, three))
    elseif letter == 'h' then
      redis.call('HSET', prefix .. 'wh:' .. one, two, three)
    elseif letter == 'p' then
      redis.call('XADD', prefix .. 'outbox', '*', 'p', one)
      ring('bell!leader')
    elseif letter == 'n' then
      succeed(one, two, three)
    elseif letter == 'd' then
      put_away(one, two)
    end
  end
end
