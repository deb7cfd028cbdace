#!lua flags=allow-oom
--[[ delete: removes up to 100 jobs that have ended, with their records.
  keys    1 events, 2 runs, then the record (j:<id>) of each job
  args    none
  reply   for each job: 'done', 'unknown', 'workflow' (it is removed with its workflow), or the
          letter of where it stands (it has not ended)
  events  none
]]
--@include lib/base.lua
--@include lib/packs.lua
--@include lib/jobs.lua
--@include lib/forgetting.lua

local replies, ended = {}, {}
for i = 3, #KEYS do
  local id = string.sub(KEYS[i], -26)
  local ident = job_header(id)
  local letter = ident and parse_state(read_state(id)).letter
  local reply = 'done'
  if not ident then
    reply = 'unknown'
  elseif redis.call('HEXISTS', KEYS[2], id) == 1 then
    reply = 'r'
  elseif not TERMINAL[letter] then
    reply = letter or 'P'
  elseif in_workflow(ident) then
    reply = 'workflow'
  else
    ended[#ended + 1] = id
  end
  replies[i - 2] = reply
end
forget_jobs(ended)
return replies
