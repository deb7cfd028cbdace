--@include lib/leaving.lua
--@include lib/finishing.lua
-- Cancels one job wherever it stands. Returns 'done', 'requested' (it runs: its node is told,
-- and whatever its run comes to, it ends cancelled), 'unknown', or the letter of its end.
local function cancel_job(id, reason, retention)
  local token = redis.call('HGET', prefix .. 'runs', id)
  if token then
    -- It may have been asked to stop for another reason.
    if CANCELLING[string.sub(token, 1, 1)] then redis.call('HDEL', prefix .. 'doomed', id) end
    ask_to_stop(id, token)
    return 'requested'
  end
  local ident, policy = job_header(id)
  if not ident then return 'unknown' end
  local state = parse_state(read_state(id))
  if TERMINAL[state.letter] then return state.letter end
  if is_staged(ident) then return 'unknown' end
  leave_place(id, ident, state)
  finish_job(id, ident, policy, state, 'X', 'job.cancelled', reason, retention)
  return 'done'
end
