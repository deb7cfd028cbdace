--[[ configure: replaces one entry of the settings that nodes read while they run.
  keys    1 events, 2 config
  args    1 what it is for ('global' or 'handler:<pattern>'), 2 the text as the caller saw it
          ('' none), 3 the text from now on ('' none)
  reply   {'ok'} | {'changed', text that stands there now ('' none)}
  events  none
]]
--@include lib/base.lua

local scope, seen, text = ARGV[1], ARGV[2], ARGV[3]
local current = redis.call('HGET', KEYS[2], scope) or ''
-- A reply that was lost: it stands there already.
if current == text then return { 'ok' } end
if current ~= seen then return { 'changed', current } end
if text == '' then
  redis.call('HDEL', KEYS[2], scope)
else
  redis.call('HSET', KEYS[2], scope, text)
end
return { 'ok' }
