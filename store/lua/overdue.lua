#!lua flags=allow-oom
--[[ overdue: moments that workflows, or batches, wait for and that have passed. Those of instances of
     which nothing is under way any more are taken away.
  keys    1 events, 2 workflows:alarms or batches:alarms, 3 leader, 4 the active ones of these
  args    1 term, 2 most to name
  reply   {'ok', for each, longest overdue first: member} | {'fenced', newest term}
  events  none
]]
--@include lib/base.lua
--@include lib/term.lua

local refusal = fenced()
if refusal then return refusal end
local found = { 'ok' }
local passed = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, tonumber(ARGV[2]))
for _, member in ipairs(passed) do
  if redis.call('ZSCORE', KEYS[4], string.match(member, '^%S+')) then
    found[#found + 1] = member
  else
    redis.call('ZREM', KEYS[2], member)
  end
end
return found
