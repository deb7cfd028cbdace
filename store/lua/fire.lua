#!lua
--[[ fire: makes the jobs of firings that are due and advances their schedules past them; starts
     what waited for the end of an active run. Each schedule whole, or not at all when it is not
     as the caller read it.
  keys    1 events, 2 schedules:due, 3 leader
  args    1 term, 2 event cap, 3 retention of cancelled jobs in ms, 4 number of schedules, for
          each: id, revision, scheduled time that it stands at ('' leave it), the next one ('' none
          any more, '?' look again in a minute), overlap policy, first of the buffer ('' leave it),
          payload, number of firings (the first of them is that of the buffer, if there is one), for
          each: scheduled ms, kind, job, delay in ms,
          '<ident> <policy>\n<options>\n'
            overlap policies  A allow all, S skip, 1 buffer one, N buffer all, R replace
  reply   {'ok', ms until the next is due (-1 none), for each: '<answer> <fired> <skipped>
           <buffered> <dropped> <replaced>'} | {'fenced', newest term}
            answers  . done, s it has changed since, m there is none, p it is paused
  events  job.enqueued, job.scheduled, job.cancelled, schedule.removed
]]
--@include lib/base.lua
--@include lib/events.lua
--@include lib/lanes.lua
--@include lib/jobs.lua
--@include lib/endings.lua
--@include lib/cancelling.lua
--@include lib/making.lua
--@include lib/schedules.lua
--@include lib/remove_schedule.lua
--@include lib/firing.lua
--@include lib/term.lua

local refusal = fenced()
if refusal then return refusal end
local at, answers = 4, {}
for place = 1, tonumber(ARGV[4]) do
  local step
  step, at = read_step(at)
  local answer, counts = fire_schedule(step, false, tonumber(ARGV[3]))
  answers[place] = answer .. ' ' .. counts.fired .. ' ' .. counts.skipped .. ' ' .. counts.buffered
    .. ' ' .. counts.dropped .. ' ' .. counts.replaced
end
announce_lanes()
write_endings()
write_events(ARGV[2])
local next_due = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
return { 'ok', next_due and math.max(0, tonumber(next_due) - now) or -1, unpack(answers) }
