#!lua flags=allow-oom
--[[ turn: settles finished runs of a node and claims more work for it.
  keys    1 events, 2 runs
  args    1 node, 2 slot, 3 number of the turn in that slot, 4 event cap,
          5 retention of cancelled jobs in ms, 6 number of groups of alike settles,
          for each group: '<code><w|.> <attempt> <run>', token, number, packs of its jobs, their
                          ident (with w: id US ident of each, joined by RS), then the tail of each
            codes  C completed, N completed, and its workflow is to go on as a new one, K skipped,
                   D dead (number: retention in ms; tail: result or why)
                   R retry, r the same of a job whose max duration runs, P repeat (number: delay
                   in ms)   Z pause (number: ms, 0 by hand)
                   L hand back
          number of fields of their policies to follow, then for each: field, settles (from 1)
          most to claim (0: none), weights of high, normal, low, ticket, handlers,
          for each handler: pattern, version ('' any), free slots
  reply   {one letter a settle: '.' done, 'c' as the wish to stop it said, 'r' done before, 'f' fenced,
           'ok' | 'none' | 'unregistered', 1 when served work was left,
           for each group of claims with one token: {token, packs, {record of each}, state (of
           one job alone), {for each job, unless none has any: {state of each upstream}}}}
  events  job.completed, job.failed, job.dead, job.cancelled, job.paused, job.scheduled,
          job.dispatched, job.started, job.fenced, job.schedule_to_start_timeout
]]
--@include lib/base.lua
--@include lib/events.lua
--@include lib/lanes.lua
--@include lib/jobs.lua
--@include lib/limits.lua

local node, slot, number = ARGV[1], ARGV[2], ARGV[3]
local at, answered = 6, ''
-- What a turn does not do is not even defined: that would cost about as much as doing it for a job.
if ARGV[6] ~= '0' then
--@include lib/endings.lua
--@include lib/settle.lua
  at = settle(tonumber(ARGV[6]), at, tonumber(ARGV[5]))
  at = follow_settles(at)
  announce_lanes()
  write_endings()
  answered = table.concat(answers)
else
  at = at + 1
end

local wanted = tonumber(ARGV[at + 1])
local answer, claims, left = 'none', {}, 0
if wanted > 0 then
--@include lib/claim.lua
  answer, claims, left = claim(wanted, node, slot, number, at + 1)
end

write_events(ARGV[4], node)
return { answered, answer, left, claims }
