--@include lib/arming.lua
-- Takes a run from its node: the fence moves on, so that it cannot settle any more, and the crash
-- uses an attempt. Returns the letter of the job's end, or 'P' when it waits again; nothing when
-- there is no such job.
local function take_run(id, token, why, max_crashes, retention)
  redis.call('HDEL', KEYS[2], id)
  local stopping = CANCELLING[string.sub(token, 1, 1)]
  local doom
  if stopping then
    redis.call('SREM', prefix .. 'cancels:' .. string.sub(token, 2, 27),
      id .. ' ' .. string.match(token, '\31(%d+)$'))
    doom = redis.call('HGET', prefix .. 'doomed', id)
    if doom then redis.call('HDEL', prefix .. 'doomed', id) end
  end
  local ident, policy = job_header(id)
  if not ident then return end
  local state = parse_state(read_state(id))
  local attempt, run = string.match(string.sub(token, 43), '^(%d+)\31(%d+)')
  state.attempt, state.run = tonumber(attempt), tonumber(run) + 1
  state.crashes, state.errors = state.crashes + 1, state.errors + 1
  local detail = detail_of(attempt, run, ident)
  local workflow = in_workflow(ident)
  local limit = tonumber(policy_field(policy, 'a') or 'inf') or math.huge
  local letter
  if stopping and not doom then
    letter, why = 'X', 'cancelled while it ran'
  elseif doom and string.sub(doom, 1, 1) == 'D' then
    letter, why = 'D', string.sub(doom, 3)
  elseif state.crashes >= max_crashes or state.attempt >= limit then
    letter, why = 'D', why .. ' (crash ' .. state.crashes .. ')'
  end
  if letter then
    write_state(id, format_state(letter, state, removal_time(retention, workflow), why))
    emit_job(letter == 'D' and 'job.dead' or 'job.cancelled', id, detail, why)
    book_end(id, letter, detail, retention, workflow, why)
  else
    enqueue(lane_of(ident), id)
    write_state(id, format_state('P', state, '-', why))
    emit_job('job.auto_recovered', id, detail, why)
    arm_start(id, policy)
  end
  follow_policy(policy, id, letter ~= nil)
  return letter or 'P'
end
