-- Records of jobs.
-- j:<id>  '<entry> <ident> <policy>\n<body>', written once. entry: '<created ms>-<seq>' of the
--         first lane entry, '-d' in place of the sequence when there was none. ident: lane, and
--         for a workflow's job US workflow US task US iteration. policy: '-' or fields joined by
--         US, one letter each: a max attempts, u unique key, t tag, U upstream jobs (last).
-- s:<id>  '<letter> <attempt> <run> <crashes> <errors> <at ms> <x> <rest>\n<tail>', absent until
--         the first claim has ended. letter: P waiting, S scheduled, R retrying, Z paused,
--         C completed, K skipped, D dead, X cancelled. x: lane entry of P, due time of S, R
--         (and Z, 0 when resumed by hand only), time of removal of C, K, D, X (0: kept).
--         tail: result of C, else why. rest: fields of newer versions, kept as they are.
local TERMINAL = { C = true, K = true, D = true, X = true }

-- Entry, ident and policy of a job. Most fit into the first 4 KiB; what may be longer and is
-- wanted are tags, as the upstream jobs behind them are read by nobody here.
local function job_header(id)
  local size = 4096
  repeat
    local text = redis.call('GETRANGE', prefix .. 'j:' .. id, 0, size - 1)
    local entry, ident, policy = string.match(text, '^(%S+) (%S+) (%S+)')
    if #text < size or string.find(text, '\n', 1, true)
      or (policy and string.find('\31' .. policy, '\31U', 1, true)) then
      return entry, ident, policy
    end
    size = size * 8
  until false
end

local function lane_of(ident)
  return string.match(ident, '^[^\31]+')
end

local function in_workflow(ident)
  return string.find(ident, US, 1, true) ~= nil
end

local function policy_field(policy, letter)
  for field in string.gmatch(policy, '[^\31]+') do
    if string.sub(field, 1, 1) == letter then return string.sub(field, 2) end
  end
end

-- A state as a table; what a job without a state record has by default.
local function parse_state(text)
  if not text or text == '' then
    return { attempt = 0, run = 0, crashes = 0, errors = 0, at = 0, x = '-', rest = '', tail = '' }
  end
  local letter, attempt, run, crashes, errors, at, x, rest, tail =
    string.match(text, '^(%a) (%d+) (%d+) (%d+) (%d+) (%d+) (%S+)([^\n]*)\n(.*)$')
  return { letter = letter, attempt = tonumber(attempt), run = tonumber(run),
    crashes = tonumber(crashes), errors = tonumber(errors), at = tonumber(at), x = x,
    rest = rest, tail = tail }
end

local function format_state(letter, state, x, tail)
  return letter .. ' ' .. state.attempt .. ' ' .. state.run .. ' ' .. state.crashes .. ' '
    .. state.errors .. ' ' .. now .. ' ' .. x .. state.rest .. '\n' .. tail
end

-- The item of a job's event. `detail` (attempt US run US ident) is also the tail of a token.
local function job_item(id, detail, why)
  local item = id .. US .. detail
  if not why then return item end
  local _, separators = string.gsub(detail, US, '')
  return item .. (separators >= 5 and US or US .. US .. US .. US) .. string.sub(why, 1, 500)
end
