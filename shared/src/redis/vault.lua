#!lua name=nstore_vault_1
-- What the vault needs compared on the server. Each runs in one step and may be repeated.
--
-- KEYS[1] is `<prefix>:{vault:<name>}:value` or `…:lock`; the two share a slot.
--   :value  string  version (1 byte), nonce (24 bytes; new with every write), sealed bytes. Expires
--   :lock   string  who logs in: `<owner>|<random>`. Expires
-- A function that fails keeps what it has written, so each reads and checks its arguments before it writes.

local NONCE_FIRST, NONCE_LAST = 1, 24

local function refuse(what)
  error({ err = 'ERR nstore: ' .. what .. ' expected' })
end

local function token(text)
  if not text or text == '' then refuse('token') end
  return text
end

local function millis(text)
  local n = tonumber(text)
  if not n or n ~= math.floor(n) or n < 1 then refuse('milliseconds') end
  return string.format('%d', n)
end

-- ARGV: token, ttl. Takes the lock where it is free or held under this very token already.
local function lock(keys, args)
  local mine, ttl = token(args[1]), millis(args[2])
  local holder = redis.call('GET', keys[1])
  if holder and holder ~= mine then
    -- no lock lasts longer than one that begins now, unless the server's clock was set back since
    redis.call('PEXPIRE', keys[1], ttl, 'LT')
    return 0
  end
  redis.call('SET', keys[1], mine, 'PX', ttl)
  return 1
end

-- ARGV: token, ttl. Prolongs the lock while it is held under this token.
local function renew(keys, args)
  local mine, ttl = token(args[1]), millis(args[2])
  if redis.call('GET', keys[1]) ~= mine then return 0 end
  return redis.call('PEXPIRE', keys[1], ttl)
end

-- ARGV: token.
local function unlock(keys, args)
  if redis.call('GET', keys[1]) ~= token(args[1]) then return 0 end
  return redis.call('DEL', keys[1])
end

-- ARGV: nonce. Removes the value while it is the one that was written under this nonce.
local function forget(keys, args)
  local nonce = token(args[1])
  if redis.call('GETRANGE', keys[1], NONCE_FIRST, NONCE_LAST) ~= nonce then return 0 end
  return redis.call('DEL', keys[1])
end

local function door(of, callback, ...)
  redis.register_function({ function_name = 'nstore_vault_1_' .. of, callback = callback, flags = { ... } })
end

door('lock', lock)
-- what ends a login or keeps it going must not fail when memory is full
door('renew', renew, 'allow-oom')
door('unlock', unlock, 'allow-oom')
door('forget', forget, 'allow-oom')
