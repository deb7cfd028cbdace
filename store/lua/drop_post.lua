#!lua flags=allow-oom
--[[ drop_post: takes a post out of the outbox that was delivered.
  keys    1 events, 2 outbox, 3 leader
  args    1 term, 2 entry
  reply   {'ok'} | {'fenced', newest term}
  events  none
]]
--@include lib/base.lua
--@include lib/term.lua

local refusal = fenced()
if refusal then return refusal end
redis.call('XDEL', KEYS[2], ARGV[2])
return { 'ok' }
