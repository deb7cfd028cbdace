#!lua flags=allow-oom
--[[ promote: moves delayed jobs that are due to their lanes, and looks at limits and tiers where
     something is due.
  keys    1 events, 2 delayed, 3 leader
  args    1 term, 2 event cap, 3 most to move
  reply   {'ok', moved, ms until the next is due, of all of these (-1 none)} | {'fenced', newest term}
  events  job.dispatched, job.resumed
]]
--@include lib/base.lua
--@include lib/events.lua
--@include lib/lanes.lua
--@include lib/jobs.lua
--@include lib/arming.lua
--@include lib/term.lua
--@include lib/waking.lua

local refusal = fenced()
if refusal then return refusal end
local ids = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, tonumber(ARGV[3]))
local moved = 0
if #ids > 0 then
  local states = read_states(ids)
  for i, id in ipairs(ids) do
    local ident, policy = job_header(id)
    local state = parse_state(states[i])
    if ident and not TERMINAL[state.letter] then
      local kind = 'job.dispatched'
      if state.letter == 'Z' then
        kind = 'job.resumed'
        state.errors = 0
        redis.call('ZREM', prefix .. 'paused', id)
        return_to_lane(lane_of(ident), id)
      else
        enqueue(lane_of(ident), id)
      end
      arm_start(id, policy)
      write_state(id, format_state('P', state, '-', state.tail))
      emit_job(kind, id, detail_of(state.attempt, state.run, ident))
      moved = moved + 1
    end
  end
  redis.call('ZREM', KEYS[2], unpack(ids))
  announce_lanes()
  write_events(ARGV[2])
end
local woken = wake_due()
if woken > 0 then announce_lanes() end
moved = moved + woken
local next_due = earlier_wake(redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2])
return { 'ok', moved, next_due and math.max(0, tonumber(next_due) - now) or -1 }
