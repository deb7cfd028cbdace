#!lua flags=allow-oom
--[[ watch: notes that a client waits for the end of jobs, workflows and batches, up to 100 in all.
  keys    1 events, then the record (j:<id>) of jobs, and the records (wf:<id>, bt:<id>) of workflows
          and batches
  args    1 channel of the client, 2 number of jobs
  reply   for each: 'waiting', 'ended', 'unknown'
  events  none
]]
--@include lib/base.lua
--@include lib/packs.lua
--@include lib/jobs.lua

local channel, jobs = ARGV[1], tonumber(ARGV[2])
local waiters = prefix .. 'waiters'
local replies = {}
for i = 2, #KEYS do
  local name = KEYS[i]
  local id = string.sub(name, -26)
  local letter, known
  if i - 1 <= jobs then
    local state = read_state(id)
    known = state or redis.call('EXISTS', name) == 1
    if state and TERMINAL[string.sub(state, 1, 1)] then letter = 'ended' end
  else
    local status = redis.call('HGET', name, 's')
    known = status
    if status and string.find(status, '^[CFXN]') then letter = 'ended' end
  end
  if letter == 'ended' then
    replies[i - 1] = 'ended'
  elseif not known then
    replies[i - 1] = 'unknown'
  else
    local names = redis.call('HGET', waiters, id)
    if not names then
      redis.call('HSET', waiters, id, channel)
    elseif not string.find(' ' .. names .. ' ', ' ' .. channel .. ' ', 1, true) then
      redis.call('HSET', waiters, id, names .. ' ' .. channel)
    end
    replies[i - 1] = 'waiting'
  end
end
return replies
