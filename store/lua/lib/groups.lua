--@include lib/events.lua
--@include lib/lanes.lua
--@include lib/auditing.lua
-- Groups: messages that stand until a flush makes one job of them. Names are escaped. A group in
-- which nothing stands has no key.
--   group:<name>       string, the messages in order, joined by ','
--   group:<name>:head  hash: h what the job is made of, '<ident> <policy>\n<options>\n', n how many
--                      messages stand, f the moment of the first of them
--   groups:due         sorted set, groups by the moment of their flush
--   pushes:<number>    set, pushes that were accepted in one span of five minutes, by the id of
--                      each; gone when the next span is over

-- Makes a job of messages: its record, its place in its lane, its event.
local function make_job(id, head, messages)
  redis.call('SET', prefix .. 'j:' .. id, now .. ' ' .. head .. '[' .. messages .. ']')
  local lane, policy = string.match(head, '^(%S+) (%S+)')
  local mark = 'j'
  for field in string.gmatch(policy, '[^\31]+') do
    local letter = string.sub(field, 1, 1)
    if string.find('lSMH', letter, 1, true) then mark = 's' end
    if letter == 't' then
      redis.call('ZADD', prefix .. 'tag:' .. string.sub(field, 2), now, id)
    elseif letter == 'A' then
      audit(id)
    end
  end
  enqueue_packs(lane, mark, id, 1)
  emit_job('job.enqueued', id, '0' .. US .. '0' .. US .. lane)
end

local function clear_group(name)
  redis.call('UNLINK', prefix .. 'group:' .. name, prefix .. 'group:' .. name .. ':head')
  redis.call('ZREM', prefix .. 'groups:due', name)
end

-- Makes a job of all that stands in a group. Returns its bytes; none when nothing stood.
local function flush_group(name, id)
  local messages = redis.call('GET', prefix .. 'group:' .. name)
  local head = redis.call('HGET', prefix .. 'group:' .. name .. ':head', 'h')
  clear_group(name)
  if not messages or not head then return end
  make_job(id, head, messages)
  return #messages
end
