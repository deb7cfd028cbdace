#!lua
--[[ stage_batch: keeps items of a batch that is not accepted yet, with the records of their jobs. They
     wait in no lane. Without acceptance they are removed after a while.
  keys    1 events, 2 record (bt:<id>), 3 items (bi:<id>), 4 ended
  args    1 how long they are kept in ms, 2 number of blocks, for each block: number, items,
          '<packs of their first jobs>\n<ids, joined by US>'; then for each item
          '<ident> <policy>\n<body>'
  reply   1 (also when they were kept before) | 0 the batch has been accepted
  events  none
]]
--@include lib/base.lua
--@include lib/packs.lua

local id = string.sub(KEYS[2], -26)
local accepted, since, last = unpack(redis.call('HMGET', KEYS[2], 'r', 'u', 'b'))
if accepted then return 0 end
since, last = since or now, tonumber(last or 0)
local blocks = tonumber(ARGV[2])
local at, body = 2, 2 + 3 * blocks
for _ = 1, blocks do
  local number, items, block = ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3]
  at = at + 3
  if redis.call('HSETNX', KEYS[3], number, block) == 1 then
    local names = unpack_ids(string.match(block, '^[^\n]*'), {}, prefix .. 'j:')
    local records = {}
    for i = 1, items do
      records[2 * i - 1], records[2 * i] = names[i], now .. ' ' .. ARGV[body + i]
    end
    redis.call('MSET', unpack(records))
  end
  body, last = body + items, math.max(last, tonumber(number))
end
redis.call('HSET', KEYS[2], 'u', since, 'b', last)
-- Its removal may have begun: then it begins anew.
redis.call('HDEL', KEYS[2], 'p')
redis.call('ZADD', KEYS[4], now + tonumber(ARGV[1]), since .. 'b' .. id)
return 1
