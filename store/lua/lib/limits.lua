-- Limits that jobs share by their keys.

-- Takes a slot of each limit of a job that is claimed now, or none of them.
local function takes_limits(id, record, policy)
  return true
end
