--@include lib/accepting.lua
-- Makes the instance that another one goes on as: with its definition and its origin, and the result of
-- a job as the input. The script that lets the old one end does it, so that whoever follows from one
-- to the next never finds a gap.
local function succeed(from, to, job)
  local definition = redis.call('GET', prefix .. 'wd:' .. from)
  if not definition then return end
  local length, text = string.match(definition, '^(%d+)\n()')
  local state = read_state(job)
  local input = state and string.match(state, '^C[^\n]*\n(.*)$') or ''
  accept_workflow(to, string.sub(definition, 1, text - 1 + tonumber(length)) .. input,
    'P {"stage":"pending"}', redis.call('HGET', prefix .. 'wf:' .. from, 'o') or '', from)
end
