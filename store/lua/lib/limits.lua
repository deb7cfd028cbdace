--@include lib/lanes.lua
--@include lib/jobs.lua
-- Limits that jobs share by their keys: how many of them run at once, how many begin in a second.
--   limits         hash, key to '<most at once> <rate a second> <burst>', '-' for what is not limited.
--                  A key that is not in it limits nothing; who holds it is kept all the same.
--   held:<key>     sorted set, jobs that hold a slot; score +inf while they run, else the moment until
--                  which a granted slot is kept for a job that has not been claimed yet
--   blocked:<key>  sorted set, jobs that are parked at this key, by their arrival in µs. They hold no
--                  slot and have no place in a lane.
--   blocked        sorted set, all of them
--   buckets        hash, key to '<tokens> <ms>', as many as there were at that moment; full without
--   wakes          sorted set, key to the moment at which the leader must look at it; also ',' and a
--                  tier whose rate is used up
-- While jobs are parked at a key, others that run hold all its slots, or it stands in `wakes`.
local made_limits

-- The operations, made when they are first asked for: most calls meet no job that has a limit.
local function limits()
  if made_limits then return made_limits end
  -- How long a granted slot is kept, and parked jobs that one call looks at.
  local GRANT_MS, MOST_PARKED = 30000, 100
  -- A token, less what is lost by adding fractions.
  local TOKEN = 1 - 1e-6
  local self, known, freed = { quiet = false }, {}, {}
  local looks = MOST_PARKED
  -- Jobs of one call come one after the other; parking one takes longer than a microsecond.
  local arrival_now = time[1] * 1000000 + time[2]

  local function held(key) return prefix .. 'held:' .. key end
  local function blocked(key) return prefix .. 'blocked:' .. key end

  -- Asks the leader to look at a key, or ',' and a tier, at a moment.
  function self.wake_at(name, moment)
    local first = redis.call('ZRANGE', prefix .. 'wakes', 0, 0, 'WITHSCORES')[2]
    redis.call('ZADD', prefix .. 'wakes', 'LT', string.format('%.0f', moment), name)
    if not self.quiet and (not first or moment < tonumber(first)) then ring('bell!leader') end
  end

  -- Tokens of a bucket now.
  function self.tokens_of(text, rate, burst)
    local tokens, at = string.match(text or '', '^(%S+) (%d+)$')
    if not tokens then return burst end
    return math.min(burst, tonumber(tokens) + math.max(0, now - tonumber(at)) * rate / 1000)
  end

  -- Takes tokens. Returns the bucket as it is kept.
  function self.bucket_without(tokens, taken)
    return string.format('%.6f %.0f', math.max(0, tokens - taken), now)
  end

  function self.next_token(tokens, rate)
    return now + math.ceil((1 - tokens) * 1000 / rate)
  end

  function self.has_token(tokens) return tokens >= TOKEN end

  local function limit_of(key)
    local limit = known[key]
    if limit then return limit end
    local text = redis.call('HGET', prefix .. 'limits', key)
    local most, rate, burst = string.match(text or '', '^(%S+) (%S+) (%S+)$')
    limit = { declared = most ~= nil, most = tonumber(most), rate = tonumber(rate) }
    if limit.rate then
      limit.tokens = self.tokens_of(redis.call('HGET', prefix .. 'buckets', key), limit.rate,
        tonumber(burst))
    end
    known[key] = limit
    return limit
  end

  local function has_room(key)
    local limit = limit_of(key)
    if limit.rate and not self.has_token(limit.tokens) then return false end
    return not limit.most or redis.call('ZCARD', held(key)) < limit.most
  end

  -- Whether a job must wait at a key: it has no room, or another one that came before waits there.
  local function must_wait(key, arrival)
    if not limit_of(key).declared then return false end
    if not has_room(key) then return true end
    local oldest = redis.call('ZRANGE', blocked(key), 0, 0, 'WITHSCORES')[2]
    return oldest and (not arrival or tonumber(oldest) < arrival)
  end

  local function spend(key, count)
    local limit = limit_of(key)
    if not limit.rate then return end
    local left = self.bucket_without(limit.tokens, count)
    limit.tokens = math.max(0, limit.tokens - count)
    redis.call('HSET', prefix .. 'buckets', key, left)
  end

  -- Has the leader look when the next token comes, if that is what jobs wait for.
  local function await_token(key)
    local limit = limit_of(key)
    if limit.rate and not self.has_token(limit.tokens) then
      self.wake_at(key, self.next_token(limit.tokens, limit.rate))
    end
  end

  local function park(id, key, arrival)
    redis.call('ZADD', blocked(key), arrival, id)
    redis.call('ZADD', prefix .. 'blocked', arrival, id)
    local state = parse_state(read_state(id))
    write_state(id, format_state('B', state, key, state.tail))
    await_token(key)
  end

  function self.keys_of(policy)
    local keys, seen = {}, {}
    for field in string.gmatch(policy, '[^\31]+') do
      local key = string.sub(field, 2)
      if string.sub(field, 1, 1) == 'l' and not seen[key] then
        seen[key], keys[#keys + 1] = true, key
      end
    end
    return keys
  end

  -- Slots of all keys for a job that is claimed, or none: then it is parked. One that was granted
  -- them before the limit was lowered may have to wait after all.
  function self.take(id, keys)
    local wanted = {}
    for _, key in ipairs(keys) do
      local most = limit_of(key).most
      if not redis.call('ZSCORE', held(key), id)
        or (most and redis.call('ZCARD', held(key)) > most) then
        wanted[#wanted + 1] = key
      end
    end
    for _, key in ipairs(wanted) do
      if must_wait(key) then
        for _, other in ipairs(keys) do self.release(other, id, false) end
        park(id, key, arrival_now)
        arrival_now = arrival_now + 1
        return false
      end
    end
    for _, key in ipairs(wanted) do spend(key, 1) end
    for _, key in ipairs(keys) do redis.call('ZADD', held(key), '+inf', id) end
    return true
  end

  -- How many jobs that hold nothing yet a key has room for; none before those that wait there.
  local function room_of(key, at_most)
    local limit = limit_of(key)
    if not limit.declared then return at_most end
    if redis.call('EXISTS', blocked(key)) == 1 then return 0 end
    local room = at_most
    if limit.rate then room = math.min(room, math.floor(limit.tokens + 1 - TOKEN)) end
    if limit.most then room = math.min(room, limit.most - redis.call('ZCARD', held(key))) end
    return math.max(0, room)
  end

  -- The same as `take` for jobs that are claimed for the first time and have the same keys, joined by
  -- US. Returns those that may start, their records, and how many are parked.
  function self.take_all(ids, records, joined)
    local keys, room = {}, #ids
    for key in string.gmatch(joined, '[^\31]+') do keys[#keys + 1] = key end
    for _, key in ipairs(keys) do room = room_of(key, room) end
    if room > 0 then
      local members = {}
      for place = 1, room do
        members[2 * place - 1], members[2 * place] = '+inf', ids[place]
      end
      for _, key in ipairs(keys) do
        spend(key, room)
        redis.call('ZADD', held(key), unpack(members))
      end
    end
    if room == #ids then return ids, records, 0 end
    local kept, of_kept, stay = {}, {}, 0
    for place, id in ipairs(ids) do
      if place <= room or self.take(id, keys) then
        kept[#kept + 1], of_kept[#of_kept + 1] = id, records[place]
      else
        stay = stay + 1
      end
    end
    return kept, of_kept, stay
  end

  -- Gives parked jobs their slots, and places in a lane that is claimed before others.
  local function grant(id, ident, keys, key)
    redis.call('ZREM', blocked(key), id)
    redis.call('ZREM', prefix .. 'blocked', id)
    for _, wanted in ipairs(keys) do
      spend(wanted, 1)
      redis.call('ZADD', held(wanted), now + GRANT_MS, id)
      self.wake_at(wanted, now + GRANT_MS)
    end
    local state = parse_state(read_state(id))
    write_state(id, format_state('P', state, 'g', state.tail))
    return_to_lane(granted_lane(lane_of(ident)), id)
  end

  -- Gives what is free of a key to those that are parked at it, oldest first. One that must wait at
  -- another key goes there, and stands there by its arrival here. Returns how many were granted.
  local function hand_out(key)
    local parked = redis.call('ZRANGE', blocked(key), 0, looks - 1, 'WITHSCORES')
    local granted = 0
    if #parked == 0 then return 0 end
    for i = 1, #parked, 2 do
      if not has_room(key) then
        await_token(key)
        return granted
      end
      local id, arrival, elsewhere = parked[i], tonumber(parked[i + 1]), nil
      local ident, policy = job_header(id)
      looks = looks - 1
      if ident then
        local keys = self.keys_of(policy)
        for _, other in ipairs(keys) do
          if other ~= key and must_wait(other, arrival) then elsewhere = other end
        end
        if elsewhere then
          redis.call('ZREM', blocked(key), id)
          park(id, elsewhere, arrival)
        else
          grant(id, ident, keys, key)
          granted = granted + 1
        end
      else
        redis.call('ZREM', blocked(key), id)
        redis.call('ZREM', prefix .. 'blocked', id)
      end
    end
    if redis.call('EXISTS', blocked(key)) == 1 then
      if has_room(key) then self.wake_at(key, now) else await_token(key) end
    end
    return granted
  end

  -- Gives what was freed to those that wait for it.
  function self.hand_on()
    local granted, at = 0, 1
    while freed[at] do
      if looks > 0 then
        granted = granted + hand_out(freed[at])
      else
        self.wake_at(freed[at], now)
      end
      at = at + 1
    end
    freed = {}
    return granted
  end

  function self.look_at(key) freed[#freed + 1] = key end

  -- What a job holds of a key is free; one that ended does not wait for it any more.
  function self.release(key, id, ended)
    if ended and redis.call('ZREM', blocked(key), id) == 1 then
      redis.call('ZREM', prefix .. 'blocked', id)
    end
    if redis.call('ZREM', held(key), id) == 1 then
      freed[#freed + 1] = key
      before_lanes = self.hand_on
    end
  end

  -- The same for runs that ended.
  function self.release_all(key, ids)
    if redis.call('ZREM', held(key), unpack(ids)) > 0 then
      freed[#freed + 1] = key
      before_lanes = self.hand_on
    end
  end

  -- The leader's look: slots that were granted to jobs that nobody claimed go to others. Those jobs
  -- keep their places in the lane, and take slots anew when they are claimed.
  function self.revisit(key)
    redis.call('ZREM', prefix .. 'wakes', key)
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', held(key), '-inf', now, 'LIMIT', 0, MOST_PARKED)) do
      local _, policy = job_header(id)
      for _, other in ipairs(self.keys_of(policy or 'l' .. key)) do self.release(other, id, false) end
    end
    self.look_at(key)
    local granted = self.hand_on()
    local kept = redis.call('ZRANGEBYSCORE', held(key), '-inf', '(+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
    if kept then self.wake_at(key, tonumber(kept)) end
    return granted
  end

  made_limits = self
  return self
end

-- Takes a slot of each limit of a job that is claimed now, or none of them.
local function takes_limits(id, policy)
  local keys = limits().keys_of(policy)
  return #keys == 0 or limits().take(id, keys)
end
