#!lua flags=no-writes
--[[ audit: where the audit trail of a job is to be read, as of one moment.
  keys    1 events, 2 audited, 3 trail (audit:<id>)
  args    1 id
  reply   {trail as entries of a stream, 1 when more is copied to it, entry of the log that was
           copied last, {gap...} as fields: events missed, between the entries after and before}
  events  none
]]
--@include lib/base.lua

local cursor = redis.call('GET', prefix .. 'audit:cursor') or '0-0'
local gaps = {}
for i, gap in ipairs(redis.call('XRANGE', prefix .. 'audit:gaps', '-', '+')) do gaps[i] = gap[2] end
return { redis.call('XRANGE', KEYS[3], '-', '+', 'COUNT', 2000),
  redis.call('SISMEMBER', KEYS[2], ARGV[1]), string.match(cursor, '^%S+'), gaps }
