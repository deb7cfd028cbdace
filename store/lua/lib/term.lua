-- Refuses a leader whose term is not the newest. ARGV[1] is the caller's term.
local function fenced()
  local newest = redis.call('HGET', prefix .. 'leader', 'term')
  if newest ~= ARGV[1] then return { 'fenced', newest or '0' } end
end
