-- Tells the leader, and the log, that a workflow was suspended or resumed. No commit that rests on how it
-- stood before is accepted any more.
local function tell_changed(kind)
  local id = string.sub(KEYS[2], -26)
  redis.call('HINCRBY', KEYS[2], 'r', 1)
  redis.call('XADD', prefix .. 'inbox', '*', 'b', 'k' .. US .. id)
  ring('bell!leader')
  emit(kind, id)
  write_events(ARGV[1])
end
