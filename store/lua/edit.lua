#!lua
--[[ edit: replaces the payload of a job that does not run and has not ended.
  keys    1 events, 2 record (j:<id>), 3 runs
  args    1 payload
  reply   {'ok'} | {'unknown'} | {'state', letter} (it runs, or has ended) | {'workflow'} (the
          payload of a task stands in the definition of its workflow)
  events  none
]]
--@include lib/base.lua
--@include lib/packs.lua
--@include lib/jobs.lua

local id = string.sub(KEYS[2], -26)
local record = redis.call('GET', KEYS[2])
if not record then return { 'unknown' } end
if redis.call('HEXISTS', KEYS[3], id) == 1 then return { 'state', 'r' } end
local letter = parse_state(read_state(id)).letter
if TERMINAL[letter] then return { 'state', letter } end
if in_workflow(string.match(record, '^%d+ (%S+)')) then return { 'workflow' } end
redis.call('SET', KEYS[2], string.match(record, '^[^\n]*\n[^\n]*\n') .. ARGV[1])
return { 'ok' }
