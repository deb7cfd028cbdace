-- The event and the reason of a job's end that its timer brings.
local function lateness(letter, policy)
  local limit = policy_field(policy, letter)
  if letter == 'S' then
    return 'job.schedule_to_start_timeout', 'schedule_to_start_timeout: the job did not start within '
      .. limit .. ' ms after it was dispatched'
  end
  return 'job.dead', 'max_duration: the job did not end within ' .. limit
    .. ' ms after its first start'
end
