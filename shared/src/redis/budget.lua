#!lua name=nstore_budget_1
-- Time slots for requests to a source, by the server's clock: the generic cell rate algorithm (GCRA).
--
-- KEYS[1] is `<prefix>:{budget:<key>}`, a hash. Expires an hour after it has a say no more
--   next   when the next slot would be if no burst were allowed, in microseconds since 1970
--   until  no slot is earlier: the source asked to be left alone; in microseconds since 1970
-- A slot is granted at most HORIZON ahead of its time. So a server that lost its last words, or all, waits that long,
-- and what it granted before is used up: no slot is granted twice.

local HORIZON = 250000
local KEPT = 3600000

-- budgets that were asked for since this library was loaded: a server that was started anew knows of none
local known = {}

local function refuse(what)
  error({ err = 'ERR nstore: ' .. what .. ' expected' })
end

local function whole(text, what)
  local n = tonumber(text)
  if not n or n ~= math.floor(n) or n < 1 or n > 1e15 then refuse(what) end
  return n
end

local function clock()
  local now = redis.call('TIME')
  return now[1] * 1000000 + now[2]
end

local function read(key)
  local stored = redis.call('HMGET', key, 'next', 'until')
  return tonumber(stored[1]), tonumber(stored[2]) or 0
end

local function write(key, now, next, held)
  local text = function(n) return string.format('%.0f', n) end
  redis.call('HSET', key, 'next', text(next), 'until', text(held))
  redis.call('PEXPIRE', key, text(math.ceil(math.max(next - now, held - now, 0) / 1000) + KEPT))
end

-- ARGV: microseconds from slot to slot, burst. Answers { 1, wait } for a slot that is the caller's after the wait, or
-- { 0, wait } when it is to ask again after it; { -1, wait } when that is because the source asked for it.
-- Waits are in microseconds.
local function take(keys, args)
  local key, interval, burst = keys[1], whole(args[1], 'interval'), whole(args[2], 'burst')
  local now, saved = clock(), (burst - 1) * interval
  local next, held = read(key)
  if not next or not known[key] then
    next = math.max(next or 0, now + HORIZON + saved)
    known[key] = true
  end
  -- no grant leaves it further ahead: the clock was set back
  next = math.min(next, now + HORIZON + saved + interval)
  local slot = math.max(now, next - saved, held)
  if slot - now > HORIZON then
    return { held == slot and -1 or 0, slot - now - HORIZON + 1 }
  end
  write(key, now, math.max(next, slot) + interval, held)
  return { 1, slot - now }
end

-- ARGV: microseconds. No slot is granted for so long; a longer such time that stands stays.
local function hold(keys, args)
  local key, now, wait = keys[1], clock(), whole(args[1], 'time')
  local next, held = read(key)
  -- one that was lost is unknown still
  if not next then known[key] = nil end
  write(key, now, next or now, math.max(held, now + wait))
  return 1
end

local function door(of, callback, ...)
  redis.register_function({ function_name = 'nstore_budget_1_' .. of, callback = callback, flags = { ... } })
end

-- what is under way goes on when memory is full
door('take', take, 'allow-oom')
door('hold', hold, 'allow-oom')
