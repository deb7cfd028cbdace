#!lua flags=allow-oom
--[[ deliver_end: leaves how a child workflow ended where the job of its parent's task would have left
     it, and tells the leader of that shard. The first end that is delivered stays.
  keys    1 events, 2 record of the parent (wf:<id>)
  args    1 job of the task, 2 its name, 3 its iteration, 4 C completed, D failed, X cancelled,
          5 output or why, 6 '1' to tell it again though it was told before, 7 index of the task
  reply   1 told | 0 known already, or the task is gone with its section or its workflow
  events  none (those of the task come with the leader's turn)
]]
--@include lib/base.lua
--@include lib/packs.lua

local job, name, iteration, letter, tail = unpack(ARGV, 1, 5)
if redis.call('HEXISTS', KEYS[2], 't' .. ARGV[7]) == 0 then return 0 end
local new = redis.call('HSETNX', prefix .. 's:' .. stem_of(job), string.sub(job, 26),
  letter .. ' 0 0 0 0 ' .. now .. ' 0\n' .. tail)
if new == 0 and ARGV[6] ~= '1' then return 0 end
local item = { 't', letter, job, '0', '0', '', string.sub(KEYS[2], -26), name, iteration }
if letter ~= 'C' then item[#item + 1] = string.sub(tail, 1, 500) end
redis.call('XADD', prefix .. 'inbox', '*', 'b', table.concat(item, US))
ring('bell!leader')
return 1
