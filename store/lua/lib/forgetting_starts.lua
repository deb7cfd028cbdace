--@include lib/forgetting.lua
-- Removes starts of a workflow's tasks that are over, at most `most`, with their jobs. Returns how many.
local function forget_starts(id, most)
  local history = prefix .. 'wh:' .. id
  if redis.call('EXISTS', history) == 0 then return 0 end
  local jobs, fields = {}, {}
  for i, text in ipairs(redis.call('HRANDFIELD', history, most, 'WITHVALUES')) do
    if i % 2 == 1 then
      fields[#fields + 1] = text
    else
      jobs[#jobs + 1] = string.match(text, '^%a %d+ (%w+)')
    end
  end
  forget_jobs(jobs)
  redis.call('HDEL', history, unpack(fields))
  return #fields
end
