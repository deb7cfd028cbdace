--@include lib/events.lua
--@include lib/lanes.lua
--@include lib/jobs.lua
--@include lib/making.lua
-- Groups: messages that stand until a flush makes one job of them. Names are escaped. A group in
-- which nothing stands has no key.
--   group:<name>       string, the messages in order, joined by ','
--   group:<name>:head  hash: h what the job is made of, '<ident> <policy>\n<options>\n', n how many
--                      messages stand, f the moment of the first of them
--   groups:due         sorted set, groups by the moment of their flush
--   pushes:<number>    set, pushes that were accepted in one span of five minutes, by the id of
--                      each; gone when the next span is over

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
  make_job(id, head .. '[' .. messages .. ']')
  return #messages
end
