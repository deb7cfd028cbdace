#!lua
--[[ signal: accepts a signal for a workflow. It is numbered, and kept until a task takes it or a caller
     acknowledges it.
  keys    1 events, 2 record (wf:<id>), 3 pending signals (sg:<id>), 4 keys of signals (sk:<id>)
  args    1 event cap, 2 name, 3 payload, 4 key, 5 how long it is remembered in ms, 6 names this call,
          7 most signals that may be pending
  reply   {'ok', number} | {'duplicate', number of the first one with the key} | {'unknown'}
          | {'ended', letter} | {'full'}
  events  workflow.signal.received
]]
--@include lib/base.lua
--@include lib/events.lua

-- sk:<id> is a hash, key to '<remembered until> <number> <call>', sk:<id>:due its keys by that moment.
local due = KEYS[4] .. ':due'
local id, name, key = string.sub(KEYS[2], -26), ARGV[2], ARGV[4]
local status = redis.call('HGET', KEYS[2], 's')
if not status then return { 'unknown' } end
local known = redis.call('HGET', KEYS[4], key)
if known then
  local until_then, number, call = string.match(known, '^(%d+) (%d+) (.*)$')
  if call == ARGV[6] then return { 'ok', number } end
  if tonumber(until_then) > now then return { 'duplicate', number } end
end
local letter = string.sub(status, 1, 1)
if string.find('CFXN', letter, 1, true) then return { 'ended', letter } end
if redis.call('HLEN', KEYS[3]) >= tonumber(ARGV[7]) then return { 'full' } end

for _, old in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, 10)) do
  redis.call('ZREM', due, old)
  redis.call('HDEL', KEYS[4], old)
end
local number = redis.call('HINCRBY', KEYS[2], 'gn', 1)
redis.call('HSET', KEYS[2], 'g' .. number, name)
redis.call('HSET', KEYS[3], number, now .. ' ' .. name .. '\n' .. ARGV[3])
local expires = now + tonumber(ARGV[5])
redis.call('HSET', KEYS[4], key, expires .. ' ' .. number .. ' ' .. ARGV[6])
redis.call('ZADD', due, expires, key)
redis.call('XADD', prefix .. 'inbox', '*', 'b', 'g' .. US .. id .. US .. number .. US .. name)
ring('bell!leader')
emit('workflow.signal.received', id .. US .. US .. US .. US .. US .. 'signal ' .. name)
write_events(ARGV[1])
return { 'ok', number }
