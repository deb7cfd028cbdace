--@include lib/making.lua
-- Turns firings of schedules into jobs, under their overlap policies.
-- Firings that may wait for the end of an active run.
local MOST_BUFFERED = 1000

-- Ends a job that has not ended as cancelled, also while it runs: its run is fenced here and now,
-- and its node is told so that the handler stops. One number of runs is burnt, as by recovery.
local function end_now(id, reason, retention)
  local token = redis.call('HGET', prefix .. 'runs', id)
  if not token then
    cancel_job(id, reason, retention)
    return
  end
  local node = string.sub(token, 2, 27)
  local attempt, run = string.match(string.sub(token, 43), '^(%d+)\31(%d+)')
  redis.call('HDEL', prefix .. 'runs', id)
  redis.call('HDEL', prefix .. 'doomed', id)
  redis.call('SADD', prefix .. 'cancels:' .. node, id .. ' ' .. run)
  redis.call('PUBLISH', prefix .. 'cancel:' .. node, id .. ' ' .. run)
  local ident, policy = job_header(id)
  if not ident then return end
  local state = parse_state(read_state(id))
  state.attempt, state.run = tonumber(attempt), tonumber(run) + 1
  local workflow = in_workflow(ident)
  write_state(id, format_state('X', state, removal_time(retention, workflow), reason))
  follow_policy(policy, id, true)
  -- The event is of the run that ends.
  local detail = detail_of(attempt, run, ident)
  emit_job('job.cancelled', id, detail, reason)
  book_end(id, 'X', detail, retention, workflow, reason)
end

-- Reads one schedule of the arguments behind `at`, and returns where they go on.
local function read_step(at)
  local step = {
    id = ARGV[at + 1], revision = ARGV[at + 2], from = ARGV[at + 3], to = ARGV[at + 4],
    overlap = ARGV[at + 5], head = ARGV[at + 6], payload = ARGV[at + 7], firings = {},
  }
  at = at + 8
  for _ = 1, tonumber(ARGV[at]) do
    step.firings[#step.firings + 1] = { at = ARGV[at + 1], kind = ARGV[at + 2], job = ARGV[at + 3],
      delay = tonumber(ARGV[at + 4]), record = ARGV[at + 5] }
    at = at + 5
  end
  return step, at
end

-- Makes the job of a firing, which jitter may let wait for its time.
local function start_firing(firing, body)
  if firing.delay == 0 then return make_job(firing.job, body) end
  local id, due = firing.job, now + firing.delay
  local lane = record_job(id, body)
  redis.call('ZADD', prefix .. 'delayed', due, id)
  write_state(id, 'S 0 0 0 0 ' .. now .. ' ' .. due .. '\n')
  emit_job('job.scheduled', id, '0' .. US .. '0' .. US .. lane)
  ring('bell!leader')
end

-- Starts what waits, if it may, then decides on each firing. `active` is the job of the last
-- firing, `buffer` what waits for its end. Returns the job of the last firing now.
local function fire_all(step, active, buffer, counts, retention)
  local busy, first = is_active(active), 1
  local function start(firing)
    start_firing(firing, firing.record .. step.payload)
    active, busy, counts.fired, counts.last = firing.job, true, counts.fired + 1, firing.at
  end
  if step.head ~= '' then
    first = 2
    if not busy and redis.call('LINDEX', buffer, 0) == step.head then
      redis.call('LPOP', buffer)
      start(step.firings[1])
    end
  end
  for place = first, #step.firings do
    local firing, overlap = step.firings[place], step.overlap
    local waits = overlap == '1' or overlap == 'N'
    -- What waits goes first.
    local kept = waits and redis.call('LLEN', buffer) or 0
    if overlap == 'A' or (not busy and kept == 0) then
      start(firing)
    elseif overlap == 'R' then
      end_now(active, 'replaced by the firing of ' .. firing.at, retention)
      counts.replaced = counts.replaced + 1
      start(firing)
    elseif not waits then
      counts.skipped = counts.skipped + 1
    elseif overlap == 'N' and kept >= MOST_BUFFERED then
      counts.dropped = counts.dropped + 1
    else
      if overlap == '1' then
        redis.call('DEL', buffer)
        counts.dropped = counts.dropped + kept
      end
      redis.call('RPUSH', buffer, firing.at .. firing.kind)
      counts.buffered = counts.buffered + 1
    end
  end
  return active, busy
end

-- One schedule: whether all is as the caller read it, then its firings and its advance in one.
-- Returns 'm' there is none, 's' it has changed since, 'p' it is paused, or '.', and the counts.
local function fire_schedule(step, by_hand, retention)
  local record, buffer = schedule_key(step.id), buffer_key(step.id)
  local counts = { fired = 0, skipped = 0, buffered = 0, dropped = 0, replaced = 0 }
  local found = redis.call('HMGET', record, 'r', 'n', 'p', 'a')
  if not found[1] then
    redis.call('ZREM', prefix .. 'schedules:due', step.id)
    redis.call('SREM', prefix .. 'schedules:ended', step.id)
    return 'm', counts
  end
  if found[1] ~= step.revision or (step.from ~= '' and found[2] ~= step.from) then
    return 's', counts
  end
  local paused = found[3] == '1'
  if paused and not by_hand then
    redis.call('ZREM', prefix .. 'schedules:due', step.id)
    redis.call('SREM', prefix .. 'schedules:ended', step.id)
    return 'p', counts
  end
  -- A repeated call, or one with an id that was given before, makes nothing again.
  for _, firing in ipairs(step.firings) do
    if redis.call('EXISTS', prefix .. 'j:' .. firing.job) == 1 then return 's', counts end
  end
  local active, busy = fire_all(step, found[4], buffer, counts, retention)
  if counts.fired > 0 then
    redis.call('HSET', record, 'l', counts.last, 'a', active)
    redis.call('HINCRBY', record, 'f', counts.fired)
  end
  if counts.skipped > 0 then redis.call('HINCRBY', record, 'k', counts.skipped) end
  if counts.dropped > 0 then redis.call('HINCRBY', record, 'x', counts.dropped) end
  local next = found[2]
  if step.to == '?' then
    -- Nobody here can read it: whoever can finds it as it is.
    redis.call('ZADD', prefix .. 'schedules:due', now + 60000, step.id)
  elseif step.from ~= '' then
    next = step.to
    redis.call('HSET', record, 'n', next)
    look_at(step.id, next)
  end
  local waiting = redis.call('LLEN', buffer)
  if waiting > 0 and not busy and not paused and step.to ~= '?' then
    redis.call('SADD', prefix .. 'schedules:ended', step.id)
  else
    redis.call('SREM', prefix .. 'schedules:ended', step.id)
  end
  if next == '' and waiting == 0 and not paused then
    remove_schedule(step.id, 'it will not fire again')
  end
  return '.', counts
end
