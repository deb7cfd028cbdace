--@include lib/arming.lua
--@include lib/auditing.lua
-- Makes jobs that nobody submitted: of groups, of firings. `body` is
-- '<ident> <policy>\n<options>\n<payload>'.

-- Writes the record of a job, and what its policy asks for. Returns its lane, the mark that it waits
-- with, and its policy.
local function record_job(id, body)
  redis.call('SET', prefix .. 'j:' .. id, now .. ' ' .. body)
  local lane, policy = string.match(body, '^(%S+) (%S+)')
  local mark = 'j'
  for field in string.gmatch(policy, '[^\31]+') do
    local letter = string.sub(field, 1, 1)
    if string.find('lSMH', letter, 1, true) then
      mark = 's'
    elseif letter == 't' then
      redis.call('ZADD', prefix .. 'tag:' .. string.sub(field, 2), now, id)
    elseif letter == 'A' then
      audit(id)
    end
  end
  return lane, mark, policy
end

-- Makes a job that waits in its lane.
local function make_job(id, body)
  local lane, mark, policy = record_job(id, body)
  arm_start(id, policy)
  enqueue_packs(lane, mark, id, 1)
  emit_job('job.enqueued', id, '0' .. US .. '0' .. US .. lane)
end
