-- Removes jobs and all that leads to them.
local function forget_jobs(ids)
  if #ids == 0 then return end
  local names = {}
  for i, id in ipairs(ids) do
    local _, policy = job_header(id)
    if policy then
      for field in string.gmatch(policy, '[^\31]+') do
        local letter = string.sub(field, 1, 1)
        if letter == 't' then
          redis.call('ZREM', prefix .. 'tag:' .. string.sub(field, 2), id)
        elseif letter == 'A' then
          redis.call('UNLINK', prefix .. 'audit:' .. id)
          redis.call('SREM', prefix .. 'audited', id)
          if redis.call('EXISTS', prefix .. 'audited') == 0 then
            redis.call('DEL', prefix .. 'audit:cursor')
          end
        end
      end
    end
    names[i] = prefix .. 'j:' .. id
    redis.call('HDEL', prefix .. 's:' .. stem_of(id), string.sub(id, 26))
  end
  redis.call('UNLINK', unpack(names))
  redis.call('ZREM', prefix .. 'dead', unpack(ids))
  redis.call('HDEL', prefix .. 'progress', unpack(ids))
end
