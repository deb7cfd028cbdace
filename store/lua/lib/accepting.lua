-- How instances of workflows come to be. wd:<id> and wf:<id> are described in
-- store/src/wire/workflow.rs.

-- Accepts an instance, which the leader starts then. `origin` is the task that it is the child of, as
-- JSON, `before` the instance that went on as this one; both may be ''. False when it is there, or what
-- it went on as is: a parent may ask for a child again whose own record is past its retention.
local function accept_workflow(id, definition, header, origin, before)
  local record = prefix .. 'wf:' .. id
  if redis.call('EXISTS', record) == 1
    or (origin ~= '' and redis.call('HEXISTS', prefix .. 'lines', id) == 1) then
    return false
  end
  redis.call('SET', prefix .. 'wd:' .. id, definition)
  redis.call('HSET', record, 'r', 0, 's', header, 'c', now)
  if origin ~= '' then redis.call('HSET', record, 'o', origin) end
  if before ~= '' then redis.call('HSET', record, 'f', before) end
  redis.call('ZADD', prefix .. 'workflows:active', now, id)
  redis.call('XADD', prefix .. 'inbox', '*', 'b', 's' .. US .. id)
  ring('bell!leader')
  return true
end
