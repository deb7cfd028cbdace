-- Arms the timer of a job that is dispatched now: it must start in time. One that was dispatched
-- before and has not started since keeps its moment.
local function arm_start(id, policy)
  local limit = policy_field(policy, 'S')
  if limit then redis.call('ZADD', prefix .. 'timers', 'NX', now + limit, 'S' .. id) end
end
