-- Removes jobs and all that leads to them.
local function forget_jobs(ids)
  if #ids == 0 then return end
  local names = {}
  for i, id in ipairs(ids) do
    local _, _, policy = job_header(id)
    if policy then
      for field in string.gmatch(policy, '[^\31]+') do
        if string.sub(field, 1, 1) == 't' then
          redis.call('ZREM', prefix .. 'tag:' .. string.sub(field, 2), id)
        end
      end
    end
    names[2 * i - 1] = prefix .. 'j:' .. id
    names[2 * i] = prefix .. 's:' .. id
  end
  redis.call('UNLINK', unpack(names))
  redis.call('ZREM', prefix .. 'dead', unpack(ids))
end
