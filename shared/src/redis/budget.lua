#!lua name=nstore_budget_1
-- Time slots for requests to a source, by the server's clock: the generic cell rate algorithm (GCRA).
--
-- KEYS[1] is `<prefix>:{budget:<key>}`, a hash. Expires an hour after it has a say no more
--   next   when the next slot would be if no burst were allowed, in microseconds since 1970
--   boot   which server, since which start, granted the last slot
--   until  no slot is earlier: the source asked to be left alone; in microseconds since 1970
--   since  when it asked for that; later than now once the server's clock was set back
-- A slot is granted at most HORIZON ahead of its time. So a server that does not know what was granted last, because it
-- lost its last words or all, or was another's replica, waits that long: the time of what was granted before has come.

local HORIZON = 250000
local KEPT = 3600000

-- this server since this library was loaded; named by the first call
local boot

local function refuse(what)
  error({ err = 'ERR nstore: ' .. what .. ' expected' })
end

local function whole(text, what)
  local n = tonumber(text)
  if not n or n ~= math.floor(n) or n < 1 or n > 1e15 then refuse(what) end
  return n
end

local function digits(n)
  return string.format('%.0f', n)
end

local function clock()
  local now = redis.call('TIME')
  return now[1] * 1000000 + now[2]
end

local function read(key, now)
  boot = boot or digits(now)
  local stored = redis.call('HMGET', key, 'next', 'until', 'boot', 'since')
  local held, since = tonumber(stored[2]) or 0, tonumber(stored[4]) or 0
  -- the wait that was asked for begins now: how much of it is over is not known
  if since > now then held = now + held - since end
  return tonumber(stored[1]), held, stored[3] == boot, since > now
end

-- Writes fields that belong to a budget whose say ends at the later of these times.
local function write(key, now, next, held, ...)
  redis.call('HSET', key, ...)
  redis.call('PEXPIRE', key, digits(math.ceil(math.max(next - now, held - now, 0) / 1000) + KEPT))
end

-- ARGV: microseconds from slot to slot, burst. Answers { 1, wait } for a slot that is the caller's after the wait, or
-- { 0, wait } when it is to ask again after it; { -1, wait } when that is because the source asked for it.
-- Waits are in microseconds.
local function take(keys, args)
  local key, interval, burst = keys[1], whole(args[1], 'interval'), whole(args[2], 'burst')
  local now, saved = clock(), (burst - 1) * interval
  local next, held, known, set_back = read(key, now)
  if not known then next = math.max(next or 0, now + HORIZON + saved) end
  if set_back then write(key, now, next, held, 'until', digits(held), 'since', digits(now)) end
  -- no grant leaves it further ahead: the clock was set back, or the rate was lower
  local furthest = now + HORIZON + saved + interval
  if next > furthest then
    next = furthest
    write(key, now, next, held, 'next', digits(next))
  end
  local slot = math.max(now, next - saved, held)
  if slot - now > HORIZON then
    return { held == slot and -1 or 0, slot - now - HORIZON + 1 }
  end
  next = math.max(next, slot) + interval
  write(key, now, next, held, 'next', digits(next), 'boot', boot)
  return { 1, slot - now }
end

-- ARGV: microseconds. No slot is granted for so long; a longer such time that stands stays.
local function hold(keys, args)
  local key, now, wait = keys[1], clock(), whole(args[1], 'time')
  local next, held, _, set_back = read(key, now)
  if now + wait <= held and not set_back then return 1 end
  held = math.max(held, now + wait)
  write(key, now, next or now, held, 'until', digits(held), 'since', digits(now))
  return 1
end

-- No ARGV. Slots are granted again although the source asked to be left alone.
local function lift(keys)
  return redis.call('HDEL', keys[1], 'until', 'since')
end

local function door(of, callback, ...)
  redis.register_function({ function_name = 'nstore_budget_1_' .. of, callback = callback, flags = { ... } })
end

-- what is under way goes on when memory is full
door('take', take, 'allow-oom')
door('hold', hold, 'allow-oom')
door('lift', lift, 'allow-oom')
