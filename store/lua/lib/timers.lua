-- Moments by which something must have happened to a job.

-- Whether a job that is claimed now starts in time.
local function starts_in_time(id, record, policy)
  return true
end
