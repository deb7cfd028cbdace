#!lua flags=no-writes
--[[ place: counts the jobs of a lane that wait before one of them; one step of a walk, which looks at
     up to 100 entries, and no more once they held a thousand jobs.
  keys    1 events, 2 waiting
  args    1 lane, 2 id, 3 entry to go on behind ('' from the beginning)
  reply   {'found' | 'more' | 'end', jobs before it in this step, entry to go on behind}
  events  none
]]
--@include lib/base.lua
--@include lib/packs.lua

local lane, id, from = ARGV[1], ARGV[2], ARGV[3]
local MOST_ENTRIES, MOST_JOBS = 100, 1000
local skip = from == '' and tonumber(redis.call('HGET', KEYS[2], lane .. ',') or 0) or 0
local entries = redis.call('XRANGE', prefix .. 'lane:' .. lane, from == '' and '-' or '(' .. from, '+',
  'COUNT', MOST_ENTRIES)
local before, looked = 0, 0
for _, entry in ipairs(entries) do
  local ids = unpack_ids(entry[2][2], {})
  if skip < #ids then
    local left = redis.call('SMISMEMBER', prefix .. 'holes:' .. lane, unpack(ids, skip + 1))
    for place = skip + 1, #ids do
      if left[place - skip] == 0 then
        if ids[place] == id then return { 'found', before, '' } end
        before = before + 1
      end
    end
  end
  looked, skip, from = looked + #ids, 0, entry[1]
  if looked >= MOST_JOBS then return { 'more', before, from } end
end
return { #entries == MOST_ENTRIES and 'more' or 'end', before, from }
