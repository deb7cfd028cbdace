#!lua flags=allow-oom
--[[ cancel: cancels up to 100 jobs, wherever they stand.
  keys    1 events, then the record (j:<id>) of each job
  args    1 event cap, 2 retention in ms, 3 reason
  reply   for each job: 'done', 'requested' (it runs), 'unknown', or the letter of its end
  events  job.cancelled
]]
--@include lib/base.lua
--@include lib/events.lua
--@include lib/lanes.lua
--@include lib/jobs.lua
--@include lib/endings.lua
--@include lib/cancelling.lua

local replies = {}
for i = 2, #KEYS do
  replies[i - 1] = cancel_job(string.sub(KEYS[i], -26), ARGV[3], tonumber(ARGV[2]))
end
announce_lanes()
write_endings()
write_events(ARGV[1])
return replies
