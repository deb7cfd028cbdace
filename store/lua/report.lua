#!lua flags=allow-oom
--[[ report: signs of life and progress of up to 100 runs of a node.
  keys    1 events, 2 runs, 3 timers, 4 progress
  args    for each run five: its job, its token, ms until the leader may take it ('' when it need
          give no sign of life), 1 when a progress is told, the progress
  reply   a letter for each run: '.' noted, 'f' it is not the node's any more
  events  none
]]
--@include lib/base.lua
--@include lib/packs.lua
--@include lib/jobs.lua

local letters = {}
for at = 1, #ARGV, 5 do
  local id, token, wait = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local owner = redis.call('HGET', KEYS[2], id)
  local runs = owner and as_claimed(owner) == token
  -- What a run told at its very end may come behind its end.
  local was_last = not owner
    and parse_state(read_state(id)).run == tonumber(string.match(token, '\31(%d+)$'))
  if runs and wait ~= '' then redis.call('ZADD', KEYS[3], now + wait, 'H' .. id) end
  if (runs or was_last) and ARGV[at + 3] == '1' then
    redis.call('HSET', KEYS[4], id, ARGV[at + 4])
  end
  letters[#letters + 1] = (runs or was_last) and '.' or 'f'
end
return table.concat(letters)
