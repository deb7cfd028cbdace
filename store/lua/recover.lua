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
--@include lib/term.lua

local refusal = fenced()
if refusal then return refusal end
local max_crashes, retention = tonumber(ARGV[5]), tonumber(ARGV[6])
-- A walk is only complete for nodes that were lost before it began.
local mark = ARGV[7] ~= '' and ARGV[7] or redis.call('GET', KEYS[5]) or '0'
local scan = redis.call('HSCAN', KEYS[2], ARGV[3], 'COUNT', ARGV[4])
local alive = {}
local handed_on, buried, cancelled = 0, 0, 0

for i = 1, #scan[2], 2 do
  local id, token = scan[2][i], scan[2][i + 1]
  local node = string.sub(token, 2, 27)
  if alive[node] == nil then alive[node] = redis.call('ZSCORE', KEYS[3], node) or false end
  if not alive[node] then
    redis.call('HDEL', KEYS[2], id)
    local ident, policy = job_header(id)
    if ident then
      local state = parse_state(read_state(id))
      local attempt, run = string.match(string.sub(token, 43), '^(%d+)\31(%d+)')
      state.attempt, state.run = tonumber(attempt), tonumber(run) + 1
      state.crashes, state.errors = state.crashes + 1, state.errors + 1
      local detail = detail_of(attempt, run, ident)
      local workflow = in_workflow(ident)
      local limit = tonumber(policy_field(policy, 'a') or 'inf')
      local letter, why
      if CANCELLING[string.sub(token, 1, 1)] then
        letter, why = 'X', 'cancelled while it ran'
        cancelled = cancelled + 1
      elseif state.crashes >= max_crashes or state.attempt >= (limit or math.huge) then
        letter = 'D'
        why = 'node_' .. node .. ' was lost while it ran the job (crash ' .. state.crashes .. ')'
        buried = buried + 1
      end
      if letter then
        write_state(id, format_state(letter, state, removal_time(retention, workflow), why))
        emit_job(letter == 'D' and 'job.dead' or 'job.cancelled', id, detail, why)
        book_end(id, letter, detail, retention, workflow, why)
      else
        why = 'node_' .. node .. ' was lost while it ran the job'
        enqueue(lane_of(ident), id)
        write_state(id, format_state('P', state, '-', why))
        emit_job('job.auto_recovered', id, detail, why)
        handed_on = handed_on + 1
      end
      follow_policy(policy, id, letter ~= nil)
    end
  end
end
announce_lanes()
write_endings()
write_events(ARGV[2])
if scan[1] == '0' and redis.call('GET', KEYS[5]) == mark then redis.call('DEL', KEYS[5]) end
return { 'ok', scan[1], handed_on, buried, cancelled, mark }
