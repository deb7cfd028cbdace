#!lua flags=allow-oom
--[[ recover: takes the runs of nodes without a lease, one step of a walk over all runs.
     A crash uses an attempt; the fence moves on, so that the old run cannot settle any more.
  keys    1 events, 2 runs, 3 leases, 4 leader, 5 recovering
  args    1 term, 2 event cap, 3 cursor ('0' to begin), 4 about how many to look at,
          5 most crashes of a job, 6 retention of dead jobs in ms, 7 mark of the walk ('' at its
          beginning)
  reply   {'ok', next cursor ('0' at the end), handed on, buried, cancelled, mark of the walk}
          | {'fenced', newest term}
  events  job.auto_recovered, job.dead, job.cancelled
]]
--@include lib/base.lua
--@include lib/events.lua
--@include lib/lanes.lua
--@include lib/jobs.lua
--@include lib/endings.lua
--@include lib/recovering.lua
--@include lib/term.lua

local refusal = fenced()
if refusal then return refusal end
local max_crashes, retention = tonumber(ARGV[5]), tonumber(ARGV[6])
-- A walk is only complete for nodes that were lost before it began.
local mark = ARGV[7] ~= '' and ARGV[7] or redis.call('GET', KEYS[5]) or '0'
local scan = redis.call('HSCAN', KEYS[2], ARGV[3], 'COUNT', ARGV[4])
local alive, taken = {}, { P = 0, D = 0, X = 0 }

for i = 1, #scan[2], 2 do
  local id, token = scan[2][i], scan[2][i + 1]
  local node = string.sub(token, 2, 27)
  if alive[node] == nil then alive[node] = redis.call('ZSCORE', KEYS[3], node) or false end
  if not alive[node] then
    local why = 'node_' .. node .. ' was lost while it ran the job'
    local letter = take_run(id, token, why, max_crashes, retention)
    if letter then taken[letter] = taken[letter] + 1 end
  end
end
announce_lanes()
write_endings()
write_events(ARGV[2])
if scan[1] == '0' and redis.call('GET', KEYS[5]) == mark then redis.call('DEL', KEYS[5]) end
return { 'ok', scan[1], taken.P, taken.D, taken.X, mark }
