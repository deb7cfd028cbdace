-- Cancels one job wherever it stands. Returns 'done', 'requested' (it runs: its node is told,
-- and whatever its run comes to, it ends cancelled), 'unknown', or the letter of its end.
local function cancel_job(id, reason, retention)
  local runs = prefix .. 'runs'
  local token = redis.call('HGET', runs, id)
  if token then
    local flag = string.sub(token, 1, 1)
    if not CANCELLING[flag] then
      local node = string.sub(token, 2, 27)
      redis.call('HSET', runs, id, (flag == ':' and 'C' or 'c') .. string.sub(token, 2))
      redis.call('SADD', prefix .. 'cancels:' .. node, id)
      redis.call('PUBLISH', prefix .. 'cancel:' .. node, id)
    end
    return 'requested'
  end
  local ident, policy = job_header(id)
  if not ident then return 'unknown' end
  local text = read_state(id)
  local state = parse_state(text)
  local letter = state.letter
  if TERMINAL[letter] then return letter end
  if letter == 'S' or letter == 'R' then
    redis.call('ZREM', prefix .. 'delayed', id)
  elseif letter == 'Z' then
    redis.call('ZREM', prefix .. 'delayed', id)
    redis.call('ZREM', prefix .. 'paused', id)
  elseif letter ~= 'B' then
    leave_lane(waits_in(ident, state), id)
  end
  local workflow = in_workflow(ident)
  write_state(id, format_state('X', state, removal_time(retention, workflow), reason))
  follow_policy(policy, id, true)
  local detail = detail_of(state.attempt, state.run, ident)
  emit_job('job.cancelled', id, detail, reason)
  book_end(id, 'X', detail, retention, workflow, reason)
  return 'done'
end
