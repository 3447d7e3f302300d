#!lua name=nstore_1
-- The queue's transitions. Each runs in one step and may be repeated.
--
-- KEYS[1] of every function is `<prefix>:{<source>}`; all other keys of a source begin with it, so one
-- transition stays in one slot. `id` is `<run>/<range>`, `slot` is `<worker>|<nonce>|<id>`.
--   :meta         hash  boot, booted (ms; 0: nothing to wait for), hold (ms), why (the reason of the hold), called (last
--                       call of a worker, ms, give or take a little), lease (of that call, ms), longest (lease of any
--                       call, ms), ahead (ms that the server's clock was set back), turn (counter), seq (slots of
--                       sequential runs), stretched (members of :extended), paused (0|1), v (FORMAT of the newest
--                       library that wrote here)
--   :slots        zset  slot -> end of its lease (ms). Width and order count these, not running chunks: a chunk
--                       that ended by another's word leaves its holder's slot until the holder lets go
--   :extended     set   slots whose lease was prolonged after a stall
--   :turns        zset  open parallel run, or `*` for all open sequential ones -> turn it was last served
--   :seqs         set   open sequential runs
--   :n:<worker>   text  last nonce, a blank, and the id that it was granted, or nothing
--   :run:<run>    hash  mode (p|s), boot (that of :meta at the first enqueue), workers, width, stop, attempts, total,
--                       open, cancelled, paused, slots, one count per state, pages, rows, bytes, error, plan (digest of
--                       what its chunks are extracted by)
--   :all:<run>    zset  range -> order of every chunk that is known; the same for what is available in :a:<run>. A hash
--                       of a chunk that is not listed here means nothing
--   :later:<run>  zset  range of a retryable chunk -> when it may run (ms)
--   :hints:<run>  list  ranges in the order of their completion
--   :c:<id>       hash  g (generation), s (state), a (failed tries), l (counted losses), m (all losses), w (worker),
--                       o (nonce), r (last renewal, ms), nb (not before, ms), pg, rw, by (progress), e (error).
--                       None while a chunk waits in its first generation and nothing has happened to it
-- Times are of the source's own clock: the server's, and what that was set back since the source is known. So a clock
-- that is set back neither prolongs a lease nor a wait.
-- Any of these keys may be lost while the others stay. What no longer fits together is told by `progress`, and `reset`
-- makes a run unknown, so that holders and storage tell it anew.
-- States: a available, r running, t retryable, c completed, s split, d discarded, x cancelled.
-- A function that fails keeps what it has written, so each reads and checks its arguments before it writes.
-- A call of Redis from here costs more than all that is done between two of them. So the fields of a run and of the
-- source are read once, changed in `s.runs` and `s.meta`, and written once, by `leave`.

-- What the fields mean. It rises with the first change that an older library would misread, and the library's name with
-- it. The older one stays loaded, and from the first call of a newer one on it refuses rather than misread.
local FORMAT = 1
local LOST_LIMIT = 3
local LOSSES_LIMIT = 10
local KEEP_ENDED = 7 * 24 * 3600
local KEEP_CLAIMANT = 24 * 3600
local REAP_AT_ONCE = 100
local ASK_SOONEST, ASK_LATEST = 20, 1000
local LARGEST = 9007199254740991
local ENDED = { c = true, s = true, d = true, x = true }
local STATES = { 'a', 'r', 't', 'c', 's', 'd', 'x' }

-- The boot id of each source as this server process saw it: a restart empties it, a FLUSHALL does not.
local boots = {}

-- `redis.call` does not exist yet while a library loads.
local function call(...)
  return redis.call(...)
end

-- ---- arguments ----------------------------------------------------------------------------------

local function refuse(what, text)
  error({ err = 'ERR nstore: ' .. what .. ' expected, not ' .. string.sub(tostring(text), 1, 40) })
end

local function int(text)
  local n = tonumber(text)
  if not n or n ~= math.floor(n) or math.abs(n) > LARGEST then refuse('whole number', text) end
  return n
end

local function count(text)
  local n = int(text)
  if n < 0 then refuse('count', text) end
  return n
end

-- A nonce stays the text that it came as: it is a part of keys.
local function nonce_of(text)
  if count(text) and not string.match(text, '^%d+$') then refuse('nonce', text) end
  return text
end

local function name(text)
  if not text or #text > 100 or not string.match(text, '^[a-z0-9_%-]+$') then refuse('id', text) end
  return text
end

local function range_of(text)
  if not text or #text > 100 or not string.match(text, '^[0-9tz_%-]+$') then refuse('range', text) end
  return text
end

local function one_of(letters, text)
  if not text or #text ~= 1 or not string.find(letters, text, 1, true) then refuse('one of ' .. letters, text) end
  return text
end

local function num(value)
  return tonumber(value or 0) or 0
end

-- ---- a source -----------------------------------------------------------------------------------

local META = {
  'booted', 'hold', 'called', 'lease', 'longest', 'ahead', 'turn', 'seq', 'stretched', 'paused', 'v',
}
local RUN = {
  'workers', 'width', 'stop', 'attempts', 'total', 'cancelled', 'paused', 'slots', 'open', 'pages', 'rows',
  'bytes', 'a', 'r', 't', 'c', 's', 'd', 'x',
}

-- The fields of a hash, numbers but for those of `texts`, with a note of those that change.
local function read_fields(at, texts, numbers)
  local names = { unpack(texts) }
  for _, name in ipairs(numbers) do names[#names + 1] = name end
  local h = call('HMGET', at, unpack(names))
  local fields = { at = at, changed = {} }
  for i, name in ipairs(names) do
    if i <= #texts then fields[name] = h[i] or nil else fields[name] = num(h[i]) end
  end
  return fields
end

local function set(fields, name, value)
  if fields[name] ~= value then fields[name], fields.changed[name] = value, true end
end

local function add(fields, name, n)
  set(fields, name, fields[name] + n)
end

-- As Redis writes whole numbers itself, at a fraction of what a number costs that goes there as it is.
local function text(value)
  return type(value) == 'number' and string.format('%d', value) or value
end

local function write_fields(fields)
  local pairs_of = {}
  for name in pairs(fields.changed) do
    pairs_of[#pairs_of + 1] = name
    pairs_of[#pairs_of + 1] = text(fields[name])
  end
  if #pairs_of > 0 then call('HSET', fields.at, unpack(pairs_of)) end
  fields.changed = {}
end

local function look_in(keys)
  if #keys ~= 1 then refuse('one key', #keys) end
  local time = call('TIME')
  local base = keys[1]
  local s = {
    base = base,
    time = time,
    slots = base .. ':slots',
    extended = base .. ':extended',
    turns = base .. ':turns',
    seqs = base .. ':seqs',
    meta = read_fields(base .. ':meta', { 'boot', 'why' }, META),
    runs = {},
  }
  local server = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  -- the clock was set back behind the last call: the source's own goes on from there
  if server + s.meta.ahead < s.meta.called then set(s.meta, 'ahead', s.meta.called - server) end
  s.now = server + s.meta.ahead
  if s.meta.v > FORMAT then
    error({ err = 'ERR nstore: queue format ' .. s.meta.v .. ', library knows ' .. FORMAT })
  end
  return s
end

-- The end of every function that writes.
local function leave(s, answer)
  write_fields(s.meta)
  for _, r in pairs(s.runs) do write_fields(r) end
  return answer
end

-- Living workers have one lease after a boot to say what they hold.
local function is_quiet(s, lease)
  return s.meta.booted > 0 and s.now < s.meta.booted + lease
end

-- Notes that a worker called. When nobody's call came through for long, leases that ended meanwhile say
-- nothing about their holders: each gets more time, once until its holder is heard again.
local function worker_called(s, lease)
  local m = s.meta
  lease = lease or m.lease
  if lease > m.longest then set(m, 'longest', lease) end
  local gap = s.now - m.called
  if m.called > 0 and lease > 0 and gap > lease / 2 then
    for _, slot in ipairs(call('ZRANGEBYSCORE', s.slots, '(' .. text(m.called), text(s.now))) do
      if call('SADD', s.extended, slot) == 1 then
        add(m, 'stretched', 1)
        call('ZADD', s.slots, 'XX', text(s.now + math.min(gap, lease)), slot)
      end
    end
  end
  -- what reaps asks for the call before this one
  s.called = m.called
  -- to the millisecond it need not be known
  if gap > lease / 64 or lease ~= m.lease then
    set(m, 'called', s.now)
    set(m, 'lease', lease)
  end
end

-- ---- runs and chunks ----------------------------------------------------------------------------

local function key(s, kind, run)
  return s.base .. ':' .. kind .. ':' .. run
end

local function read_run(s, run)
  local r = s.runs[run]
  if not r then
    r = read_fields(key(s, 'run', run), { 'mode', 'boot', 'error', 'plan' }, RUN)
    s.runs[run] = r
  end
  return r
end

local function new_chunk(s, run, range)
  local id = run .. '/' .. range
  return {
    run = run, range = range, id = id, key = s.base .. ':c:' .. id,
    g = 0, failed = 0, lost = 0, losses = 0, renewed = 0, not_before = 0, pages = 0, rows = 0, bytes = 0,
  }
end

-- Nothing for a chunk that is not listed. One without a hash waits untouched, or it ended so long ago that its hash
-- is gone: that one was counted, and counts as completed at a generation that everything outranks. `waits` is known
-- where it was found among those that are available.
local function read_chunk(s, run, range, waits)
  local c = new_chunk(s, run, range)
  c.order = tonumber(call('ZSCORE', key(s, 'all', run), range) or nil)
  if not c.order then return nil end
  local h = call('HMGET', c.key, 'g', 's', 'a', 'l', 'm', 'w', 'o', 'r', 'nb', 'pg', 'rw', 'by')
  if h[1] and h[2] then
    c.g, c.s, c.failed, c.lost, c.losses = num(h[1]), h[2], num(h[3]), num(h[4]), num(h[5])
    c.worker, c.nonce, c.renewed, c.not_before = h[6], h[7], num(h[8]), num(h[9])
    c.pages, c.rows, c.bytes = num(h[10]), num(h[11]), num(h[12])
  elseif waits or call('ZSCORE', key(s, 'a', run), range) then
    c.g, c.s, c.untouched = 1, 'a', true
  else
    c.s = 'c'
  end
  return c
end

-- From here on the chunk is known.
local function list_chunk(s, c, order)
  c.order = order
  call('ZADD', key(s, 'all', c.run), text(order), c.range)
end

local function add_tally(s, run, sign, t)
  local r = read_run(s, run)
  for _, name in ipairs({ 'pages', 'rows', 'bytes' }) do add(r, name, sign * t[name]) end
end

local function leave_state(s, c)
  if c.s == 'a' then
    call('ZREM', key(s, 'a', c.run), c.range)
  elseif c.s == 't' then
    call('ZREM', key(s, 'later', c.run), c.range)
    call('HDEL', c.key, 'nb')
  elseif c.s == 'r' then
    call('HDEL', c.key, 'w', 'o', 'r', 'pg', 'rw', 'by')
  else
    add_tally(s, c.run, -1, c)
    call('HDEL', c.key, 'pg', 'rw', 'by', 'e')
    call('PERSIST', c.key)
  end
  add(read_run(s, c.run), c.s, -1)
end

-- The one place where a chunk changes its state: its hash, its run's counts and indexes together.
-- `fields` are further pairs for the hash.
local function move(s, c, to, fields)
  -- a hash that is there although its chunk is not listed is left over
  if c.s then leave_state(s, c) else call('DEL', c.key) end
  if c.untouched then
    fields = { 'g', c.g, unpack(fields) }
    c.untouched = nil
  end
  for i = 2, #fields, 2 do fields[i] = text(fields[i]) end
  call('HSET', c.key, 's', to, unpack(fields))
  add(read_run(s, c.run), to, 1)
  if to == 'a' then
    call('ZADD', key(s, 'a', c.run), text(c.order), c.range)
  elseif ENDED[to] then
    call('EXPIRE', c.key, KEEP_ENDED)
  end
  c.s = to
end

-- Lists a run among the open ones while any of its chunks is; what is closed goes by itself in the end.
local function settle(s, run)
  local r = read_run(s, run)
  if r.a + r.r + r.t == 0 then
    call('ZREM', s.turns, run)
    if call('SREM', s.seqs, run) == 1 and call('SCARD', s.seqs) == 0 then call('ZREM', s.turns, '*') end
    set(r, 'open', 0)
    -- before it is to go, it must be there
    write_fields(r)
    for _, kind in ipairs({ 'run', 'all', 'hints' }) do call('EXPIRE', key(s, kind, run), KEEP_ENDED) end
  elseif r.mode and r.open == 0 then
    set(r, 'open', 1)
    for _, kind in ipairs({ 'run', 'all', 'hints' }) do call('PERSIST', key(s, kind, run)) end
    if r.mode == 's' then call('SADD', s.seqs, run) end
    call('ZADD', s.turns, 'NX', 0, r.mode == 's' and '*' or run)
  end
end

-- ---- slots --------------------------------------------------------------------------------------

local function slot_of(worker, nonce, c)
  return worker .. '|' .. nonce .. '|' .. c.id
end

local function parse_slot(slot)
  return string.match(slot, '^([^|]+)|([^|]+)|([^/]+)/(.+)$')
end

local function count_slot(s, run, change)
  local r = read_run(s, run)
  add(r, 'slots', change)
  if r.mode == 's' then add(s.meta, 'seq', change) end
end

local function take_slot(s, slot, run, lease)
  if call('ZADD', s.slots, text(s.now + lease), slot) == 1 then count_slot(s, run, 1) end
end

-- Its holder was heard.
local function relax(s, slot)
  if s.meta.stretched > 0 and call('SREM', s.extended, slot) == 1 then add(s.meta, 'stretched', -1) end
end

local function free_slot(s, slot, run)
  if call('ZREM', s.slots, slot) == 1 then
    relax(s, slot)
    count_slot(s, run, -1)
  end
end

-- The counts of the source and of its runs that follow from its slots, made again from those.
local function recount(s)
  local seq, of_runs = 0, {}
  for _, slot in ipairs(call('ZRANGE', s.slots, 0, -1)) do
    local _, _, run = parse_slot(slot)
    if run then
      of_runs[run] = (of_runs[run] or 0) + 1
      if read_run(s, run).mode == 's' then seq = seq + 1 end
    end
  end
  for run, slots in pairs(of_runs) do set(read_run(s, run), 'slots', slots) end
  set(s.meta, 'seq', seq)
  set(s.meta, 'stretched', call('SCARD', s.extended))
  local last = call('ZRANGE', s.turns, -1, -1, 'WITHSCORES')[2]
  set(s.meta, 'turn', math.max(s.meta.turn, num(last)))
end

-- The start of every function that writes.
local function enter(keys)
  local s = look_in(keys)
  local m = s.meta
  set(m, 'v', FORMAT)
  if not m.boot then
    set(m, 'boot', s.time[1] .. '.' .. s.time[2])
    set(m, 'booted', s.now)
    -- nothing but this hash may be lost
    recount(s)
  elseif not boots[s.base] or m.booted > s.now then
    set(m, 'booted', s.now)
  end
  boots[s.base] = m.boot
  return s
end

local function holds(c, worker, nonce)
  return c and c.s == 'r' and c.worker == worker and c.nonce == nonce
end

-- A worker's part in a chunk ends without an outcome.
local function put_back(s, c, to, fields)
  if read_run(s, c.run).cancelled == 1 then
    move(s, c, 'x', {})
    settle(s, c.run)
  else
    move(s, c, to, fields)
  end
end

-- Ends the leases that ran out. A loss counts against its chunk when it was renewed since the last boot
-- and a worker's call came through later than half way to its end: so neither Redis nor all workers were away.
local function reap(s)
  local due = call('ZRANGEBYSCORE', s.slots, '-inf', text(s.now), 'WITHSCORES', 'LIMIT', 0, REAP_AT_ONCE)
  for i = 1, #due, 2 do
    local worker, nonce, run, range = parse_slot(due[i])
    if worker then
      free_slot(s, due[i], run)
      local c = read_chunk(s, run, range)
      if holds(c, worker, nonce) then
        local counts = c.renewed >= s.meta.booted and s.called > (c.renewed + tonumber(due[i + 1])) / 2
        put_back(s, c, 'a', { 'm', c.losses + 1, 'l', c.lost + (counts and 1 or 0) })
      end
    else
      call('ZREM', s.slots, due[i])
    end
  end
end

-- ---- facts --------------------------------------------------------------------------------------

-- From ARGV[at]: run, range, order, generation, state (c|s|d), worker and nonce (or nothing), pages, rows,
-- bytes, error (or nothing).
local function read_fact(args, at)
  local f = {
    run = name(args[at]), range = range_of(args[at + 1]), order = int(args[at + 2]),
    g = count(args[at + 3]), s = one_of('csd', args[at + 4]),
    pages = count(args[at + 7]), rows = count(args[at + 8]), bytes = count(args[at + 9]), error = args[at + 10],
  }
  if args[at + 5] ~= '' then
    f.worker, f.nonce = name(args[at + 5]), nonce_of(args[at + 6])
  end
  return f
end

local function apply_fact(s, f)
  local c = read_chunk(s, f.run, f.range) or new_chunk(s, f.run, f.range)
  if f.worker then free_slot(s, slot_of(f.worker, f.nonce, c), f.run) end
  if f.g < c.g or (f.g == c.g and f.s == c.s) then return 0 end
  if not c.s then list_chunk(s, c, f.order) end
  local fields = { 'g', f.g, 'pg', f.pages, 'rw', f.rows, 'by', f.bytes }
  if f.s == 'd' then
    fields[9], fields[10] = 'e', f.error
    set(read_run(s, f.run), 'error', f.error)
  end
  move(s, c, f.s, fields)
  add_tally(s, f.run, 1, f)
  if f.s == 'c' then call('RPUSH', key(s, 'hints', f.run), f.range) end
  settle(s, f.run)
  return 1
end

-- ARGV: a fact. Returns 1 when it changed the chunk, else 0.
local function report(keys, args)
  local f = read_fact(args, 1)
  local s = enter(keys)
  if f.worker then worker_called(s) end
  return leave(s, apply_fact(s, f))
end

-- ---- enqueue ------------------------------------------------------------------------------------

local function read_entries(args)
  local e = {
    run = name(args[1]), mode = one_of('ps', args[2]), workers = count(args[3]), width = count(args[4]),
    stop = count(one_of('01', args[5])), attempts = count(args[6]), total = count(args[7]),
    plan = args[8] ~= '' and name(args[8]), chunks = {},
  }
  for i = 9, #args, 4 do
    e.chunks[#e.chunks + 1] = {
      range = range_of(args[i]), order = int(args[i + 1]), g = count(args[i + 2]),
      unproven = one_of('01', args[i + 3]) == '1',
    }
  end
  return e
end

-- The run's settings are those of its last enqueue. Its slots may be known before its mode is.
local function set_run(s, e)
  local r = read_run(s, e.run)
  if r.mode ~= e.mode then
    if e.mode == 's' then add(s.meta, 'seq', r.slots) end
    if r.mode == 's' then add(s.meta, 'seq', -r.slots) end
    call('ZREM', s.turns, e.run)
    if call('SREM', s.seqs, e.run) == 1 and call('SCARD', s.seqs) == 0 then call('ZREM', s.turns, '*') end
    set(r, 'open', 0)
  end
  if not r.boot then set(r, 'boot', s.meta.boot) end
  for _, name in ipairs({ 'mode', 'workers', 'width', 'stop', 'attempts', 'total' }) do set(r, name, e[name]) end
  if e.plan then set(r, 'plan', e.plan) end
  return r.cancelled == 1
end

-- Many new chunks enter the indexes together.
local function put_new(s, run, state, added)
  if #added == 0 then return end
  for _, index in ipairs(state == 'a' and { 'all', 'a' } or { 'all' }) do
    call('ZADD', key(s, index, run), unpack(added))
  end
  add(read_run(s, run), state, #added / 2)
end

-- True when an ended chunk became available.
local function reopen(s, c, n, state)
  local ended = ENDED[c.s]
  if n.g < c.g or (n.g == c.g and not (n.unproven and ended)) then return false end
  if c.s == 'x' and state == 'x' then
    call('HSET', c.key, 'g', n.g)
    return false
  end
  move(s, c, state, { 'g', n.g })
  call('HDEL', c.key, 'a', 'l', 'm')
  return ended and state == 'a'
end

-- ARGV: run, mode (p|s), parallel workers, width (0: none), stop on discard (0|1), attempts, total, digest of the plan
-- (or nothing: the one that is known stays), then for each chunk: range, order, generation, unproven (0|1). Returns how many were added and how many reopened.
local function enqueue(keys, args)
  local e = read_entries(args)
  local s = enter(keys)
  local state = set_run(s, e) and 'x' or 'a'
  local added, fresh, all_added, reopened = {}, {}, 0, 0
  for _, n in ipairs(e.chunks) do
    if fresh[n.range] then
      -- twice in one batch
      put_new(s, e.run, state, added)
      added, fresh = {}, {}
    end
    local c = read_chunk(s, e.run, n.range)
    if c then
      if reopen(s, c, n, state) then reopened = reopened + 1 end
    else
      local k = new_chunk(s, e.run, n.range).key
      -- left over, as the chunk is not listed
      call('DEL', k)
      if state == 'x' or n.g ~= 1 then call('HSET', k, 'g', n.g, 's', state) end
      if state == 'x' then call('EXPIRE', k, KEEP_ENDED) end
      added[#added + 1] = text(n.order)
      added[#added + 1] = n.range
      fresh[n.range], all_added = true, all_added + 1
    end
  end
  put_new(s, e.run, state, added)
  settle(s, e.run)
  return leave(s, { all_added, reopened })
end

-- ---- claim --------------------------------------------------------------------------------------

local function wake(s, at)
  if at < s.wake then s.wake = at end
end

-- An index that names a chunk which is not so: other hands. The chunk's own hash is right.
local function drop_stray(s, c)
  call('ZREM', key(s, 'a', c.run), c.range)
  call('ZREM', key(s, 'later', c.run), c.range)
end

local function next_parallel(s, run)
  local r = read_run(s, run)
  if r.cancelled == 1 or r.paused == 1 or r.slots >= r.workers then return nil end
  if r.width > 0 and call('ZCARD', s.slots) >= r.width then return nil end
  local later = key(s, 'later', run)
  if r.t > 0 then
    for _, range in ipairs(call('ZRANGEBYSCORE', later, '-inf', text(s.now), 'LIMIT', 0, REAP_AT_ONCE)) do
      local c = read_chunk(s, run, range)
      if c and c.s == 't' then move(s, c, 'a', {}) else call('ZREM', later, range) end
    end
  end
  local first = call('ZRANGE', key(s, 'a', run), 0, 0)[1]
  if first then
    local c = read_chunk(s, run, first, true) or new_chunk(s, run, first)
    if c.s == 'a' then return c end
    drop_stray(s, c)
  end
  local soonest = r.t > 0 and call('ZRANGE', later, 0, 0, 'WITHSCORES')[2]
  if soonest then wake(s, tonumber(soonest)) end
  return nil
end

-- The lower of `best` and a run's lowest chunk that is available or waits.
local function lowest_of_run(s, run, best)
  local function offer(range, order)
    local lower = not best or order < best.order
      or (order == best.order and (run .. '/' .. range) < (best.run .. '/' .. best.range))
    if lower then best = { run = run, range = range, order = order } end
  end
  local first = call('ZRANGE', key(s, 'a', run), 0, 0, 'WITHSCORES')
  if first[1] then offer(first[1], tonumber(first[2])) end
  -- one at a time and in order: no more than a few wait
  for _, range in ipairs(call('ZRANGE', key(s, 'later', run), 0, -1)) do
    offer(range, num(call('ZSCORE', key(s, 'all', run), range)))
  end
  return best
end

-- A discarded chunk ends a sequential run that is to stop then.
local function is_stopped(r)
  return r.mode == 's' and r.stop == 1 and r.d > 0
end

local function next_sequential(s)
  local best
  for _, run in ipairs(call('SMEMBERS', s.seqs)) do
    local r = read_run(s, run)
    if r.cancelled ~= 1 and r.paused ~= 1 and not is_stopped(r) and call('ZCARD', key(s, 'all', run)) >= r.total then
      best = lowest_of_run(s, run, best)
    end
  end
  if not best then return nil end
  local c = read_chunk(s, best.run, best.range) or new_chunk(s, best.run, best.range)
  if c.s == 'a' or (c.s == 't' and c.not_before <= s.now) then return c end
  if c.s == 't' then wake(s, c.not_before) else drop_stray(s, c) end
  return nil
end

-- No lease ends later than the longest one that begins now, unless the clock was set back and :meta was lost since.
local function shorten_leases(s)
  local latest = text(s.now + s.meta.longest)
  for _, slot in ipairs(call('ZRANGEBYSCORE', s.slots, '(' .. latest, '+inf', 'LIMIT', 0, REAP_AT_ONCE)) do
    call('ZADD', s.slots, 'XX', latest, slot)
  end
end

-- Nothing of the source is held, and nothing will be granted before more is enqueued.
local function is_closed(s)
  local turns = call('ZRANGE', s.turns, 0, 1)
  if #turns > 1 or (#turns == 1 and turns[1] ~= '*') or call('ZCARD', s.slots) > 0 then return false end
  for _, run in ipairs(#turns == 1 and call('SMEMBERS', s.seqs) or {}) do
    local r = read_run(s, run)
    if r.cancelled ~= 1 and not is_stopped(r) then return false end
  end
  return true
end

-- The chunk to grant, and whose turn that was.
local function pick(s, lease)
  if is_quiet(s, lease) then
    wake(s, s.meta.booted + lease)
    return nil
  end
  if s.meta.hold > s.now then
    wake(s, s.meta.hold)
    return nil
  end
  if s.meta.paused == 1 then return nil end
  local c
  for _, turn in ipairs(call('ZRANGE', s.turns, 0, -1)) do
    if turn == '*' then
      c = next_sequential(s)
      -- its turn has come and others are in flight: nobody overtakes it any more
      if c and call('ZCARD', s.slots) > 0 then
        c = nil
        break
      end
    elseif s.meta.seq == 0 then
      c = next_parallel(s, turn)
    end
    if c then return c, turn end
  end
  shorten_leases(s)
  local soonest = call('ZRANGE', s.slots, 0, 0, 'WITHSCORES')[2]
  if soonest then wake(s, tonumber(soonest)) end
  return nil
end

local function grant(s, c)
  local r = read_run(s, c.run)
  local discard = ''
  if c.lost >= LOST_LIMIT or c.losses >= LOSSES_LIMIT then
    discard = 'lost its worker ' .. c.losses .. ' times'
  end
  -- once more, and it may be what ends its workers: nobody else shall be there then
  local alone = c.lost == LOST_LIMIT - 1 and 1 or 0
  return { 'grant', c.run, c.range, c.g, c.failed + 1, r.attempts, discard, alone, r.plan or '', s.now }
end

local function empty(s, lease)
  local wait = math.min(s.wake - s.now, ASK_LATEST, math.floor(lease / 4))
  return { 'empty', math.max(wait, ASK_SOONEST), is_closed(s) and 1 or 0 }
end

-- The answer to a nonce that was seen before: its grant, if that is held still.
local function same_again(s, worker, nonce, id, lease)
  local run, range = string.match(id, '^([^/]+)/(.+)$')
  local c = run and read_chunk(s, run, range)
  if not holds(c, worker, nonce) then return nil end
  call('HSET', c.key, 'r', text(s.now))
  take_slot(s, slot_of(worker, nonce, c), run, lease)
  return grant(s, c)
end

-- What a worker called itself last, and what it was granted then.
local function last_of(s, worker)
  local nonce, id = string.match(call('GET', key(s, 'n', worker)) or '', '^(%d+) (.*)$')
  return num(nonce), id or ''
end

local function note_last(s, worker, nonce, id)
  call('SET', key(s, 'n', worker), nonce .. ' ' .. id, 'EX', KEEP_CLAIMANT)
end

-- ARGV: worker, nonce, lease (ms), 0 or 1 and a fact that is reported first.
-- Returns {grant, run, range, generation, attempt, attempts, discard (or nothing), alone (0|1), digest of the plan
-- (or nothing), ms since 1970} or {empty, ms until to ask again, nothing is left to grant (0|1)}.
local function claim(keys, args)
  local worker, nonce, lease = name(args[1]), nonce_of(args[2]), count(args[3])
  local number = tonumber(nonce)
  local fact = one_of('01', args[4]) == '1' and read_fact(args, 5)
  local s = enter(keys)
  s.wake = s.now + ASK_LATEST
  worker_called(s, lease)
  if fact then apply_fact(s, fact) end
  local last, id = last_of(s, worker)
  if number == last then
    local again = same_again(s, worker, nonce, id, lease)
    if again then return leave(s, again) end
  end
  if not is_quiet(s, lease) then reap(s) end
  if number <= last then return leave(s, empty(s, lease)) end
  local c, turn = pick(s, lease)
  note_last(s, worker, nonce, c and c.id or '')
  if not c then return leave(s, empty(s, lease)) end
  move(s, c, 'r', { 'w', worker, 'o', nonce, 'r', s.now })
  take_slot(s, slot_of(worker, nonce, c), c.run, lease)
  add(s.meta, 'turn', 1)
  call('ZADD', s.turns, text(s.meta.turn), turn)
  return leave(s, grant(s, c))
end

-- ---- while a chunk is held ------------------------------------------------------------------------

local function read_beats(args)
  local beats = {}
  for i = 2, #args, 10 do
    beats[#beats + 1] = {
      worker = name(args[i]), nonce = nonce_of(args[i + 1]), attempt = count(args[i + 2]),
      run = name(args[i + 3]), range = range_of(args[i + 4]), order = int(args[i + 5]), g = count(args[i + 6]),
      pages = count(args[i + 7]), rows = count(args[i + 8]), bytes = count(args[i + 9]),
    }
  end
  return beats
end

-- After a loss of Redis the one who works on a chunk tells that it does.
local function reassert(s, c, b, lease)
  local fields = { 'g', b.g, 'w', b.worker, 'o', b.nonce, 'r', s.now, 'pg', b.pages, 'rw', b.rows, 'by', b.bytes }
  if not c then
    c = new_chunk(s, b.run, b.range)
    list_chunk(s, c, b.order)
    fields[#fields + 1] = 'a'
    fields[#fields + 1] = math.max(b.attempt - 1, 0)
  end
  move(s, c, 'r', fields)
  take_slot(s, slot_of(b.worker, b.nonce, c), b.run, lease)
  if last_of(s, b.worker) <= tonumber(b.nonce) then note_last(s, b.worker, b.nonce, c.id) end
  settle(s, b.run)
end

local function beat(s, b, lease)
  local c = read_chunk(s, b.run, b.range)
  local mine = holds(c, b.worker, b.nonce) and c.g == b.g
  local adrift = is_quiet(s, lease) and (not c or (c.g == b.g and (c.s == 'a' or c.s == 't')))
  if not mine and not adrift then return 'lost' end
  if read_run(s, b.run).cancelled == 1 then return 'cancel' end
  if not mine then
    reassert(s, c, b, lease)
    return 'ok'
  end
  local slot = slot_of(b.worker, b.nonce, c)
  call('HSET', c.key, 'r', text(s.now), 'pg', text(b.pages), 'rw', text(b.rows), 'by', text(b.bytes))
  take_slot(s, slot, b.run, lease)
  relax(s, slot)
  return 'ok'
end

-- ARGV: lease (ms), then for each chunk held: worker, nonce, attempt, run, range, order, generation, pages, rows,
-- bytes. Returns ok, cancel or lost for each.
local function heartbeat(keys, args)
  local lease = count(args[1])
  local beats = read_beats(args)
  local s = enter(keys)
  worker_called(s, lease)
  local answers = {}
  for i, b in ipairs(beats) do answers[i] = beat(s, b, lease) end
  return leave(s, answers)
end

local function hold_until(s, at, why)
  if at > s.meta.hold then
    set(s.meta, 'hold', at)
    set(s.meta, 'why', why)
  end
end

-- {ms that the hold lasts, its reason}, or {0, nothing}.
local function hold_left(s)
  local left = math.max(s.meta.hold - s.now, 0)
  return { left, left > 0 and s.meta.why or '' }
end

-- ARGV: worker, nonce, run, range, generation, retry|release|defer, wait (ms), error (or nothing).
-- Returns 1, or 0 when the giver does not hold the chunk.
local function give_back(keys, args)
  local worker, nonce, how = name(args[1]), nonce_of(args[2]), args[6]
  local run, range, g = name(args[3]), range_of(args[4]), count(args[5])
  local wait, why = count(args[7]), args[8]
  if how ~= 'retry' and how ~= 'release' and how ~= 'defer' then refuse('retry, release or defer', how) end
  local s = enter(keys)
  worker_called(s)
  if how == 'defer' then hold_until(s, s.now + wait, why) end
  local c = read_chunk(s, run, range)
  free_slot(s, slot_of(worker, nonce, c or new_chunk(s, run, range)), run)
  if not holds(c, worker, nonce) or c.g ~= g then return leave(s, 0) end
  if why ~= '' then set(read_run(s, run), 'error', why) end
  if how ~= 'retry' then
    put_back(s, c, 'a', {})
    return leave(s, 1)
  end
  local at = s.now + wait
  put_back(s, c, 't', { 'a', c.failed + 1, 'nb', at, 'e', why })
  if c.s == 't' then call('ZADD', key(s, 'later', run), text(at), range) end
  return leave(s, 1)
end

-- ARGV: wait (ms), why. Nothing of the source is granted for so long.
local function hold(keys, args)
  local wait, why = count(args[1]), args[2]
  local s = enter(keys)
  worker_called(s)
  hold_until(s, s.now + wait, why)
  return leave(s, 1)
end

-- No ARGV. Ends a hold; returns {ms that it would have lasted, its reason}, or {0, nothing}.
local function lift(keys)
  local s = look_in(keys)
  local left = hold_left(s)
  set(s.meta, 'hold', 0)
  set(s.meta, 'why', '')
  return left[1] > 0 and leave(s, left) or left
end

-- No ARGV. Returns what `lift` does, and ends nothing.
local function held(keys)
  return hold_left(look_in(keys))
end

-- ---- runs as a whole -----------------------------------------------------------------------------

-- ARGV: run, how many chunks at once. Returns how many became cancelled; call again until none. What runs
-- hears of it by its heartbeat.
local function cancel(keys, args)
  local run, limit = name(args[1]), count(args[2])
  local s = enter(keys)
  set(read_run(s, run), 'cancelled', 1)
  local moved = 0
  for _, index in ipairs({ 'a', 'later' }) do
    for _, range in ipairs(call('ZRANGE', key(s, index, run), 0, limit - 1)) do
      local c = read_chunk(s, run, range)
      if c and (c.s == 'a' or c.s == 't') then move(s, c, 'x', {}) else drop_stray(s, new_chunk(s, run, range)) end
      moved = moved + 1
    end
  end
  settle(s, run)
  return leave(s, moved)
end

-- ARGV: run, or nothing for the whole source; 1 or 0. Nothing of it is granted while it is paused; what runs is
-- finished. A source that nobody worked on stays one that nobody worked on.
local function pause(keys, args)
  local run, on = args[1] ~= '' and name(args[1]), count(one_of('01', args[2]))
  local s = run and enter(keys) or look_in(keys)
  set(run and read_run(s, run) or s.meta, 'paused', on)
  if run then settle(s, run) end
  return leave(s, 1)
end

-- No ARGV. Ends every lease of the source without counting a loss, and the quiet time after a boot.
local function adopt(keys)
  local s = enter(keys)
  for _, slot in ipairs(call('ZRANGE', s.slots, 0, -1)) do
    local worker, nonce, run, range = parse_slot(slot)
    if worker then
      free_slot(s, slot, run)
      local c = read_chunk(s, run, range)
      if holds(c, worker, nonce) then put_back(s, c, 'a', {}) end
    else
      call('ZREM', s.slots, slot)
    end
  end
  set(s.meta, 'booted', 0)
  return leave(s, 1)
end

-- ARGV: run, how many chunks at once. Returns how many chunks are left; call again until none.
local function forget(keys, args)
  local run, limit = name(args[1]), count(args[2])
  local s = enter(keys)
  for _, slot in ipairs(call('ZRANGE', s.slots, 0, -1)) do
    local _, _, of = parse_slot(slot)
    if of == run then free_slot(s, slot, run) end
  end
  call('ZREM', s.turns, run)
  if call('SREM', s.seqs, run) == 1 and call('SCARD', s.seqs) == 0 then call('ZREM', s.turns, '*') end
  local all = key(s, 'all', run)
  for _, range in ipairs(call('ZRANGE', all, 0, limit - 1)) do
    call('UNLINK', s.base .. ':c:' .. run .. '/' .. range)
    call('ZREM', all, range)
  end
  for _, kind in ipairs({ 'run', 'a', 'later', 'hints' }) do call('UNLINK', key(s, kind, run)) end
  s.runs[run] = nil
  return leave(s, call('ZCARD', all))
end

-- ARGV: run. Makes it unknown, in a time that does not grow with it, and begins a quiet time: the holders of its chunks
-- tell what they hold, and the caller enqueues and reports what storage shows. Hashes of its chunks are left over.
local function reset(keys, args)
  local run = name(args[1])
  local s = enter(keys)
  for _, slot in ipairs(call('ZRANGE', s.slots, 0, -1)) do
    local _, _, of = parse_slot(slot)
    if of == run or not of then
      call('ZREM', s.slots, slot)
      call('SREM', s.extended, slot)
    end
  end
  call('ZREM', s.turns, run)
  call('SREM', s.seqs, run)
  if call('SCARD', s.seqs) == 0 then call('ZREM', s.turns, '*') end
  for _, kind in ipairs({ 'run', 'all', 'a', 'later', 'hints' }) do call('UNLINK', key(s, kind, run)) end
  s.runs[run] = nil
  set(s.meta, 'booted', s.now)
  recount(s)
  return leave(s, 1)
end

-- ---- reading -------------------------------------------------------------------------------------

-- What does not fit together of a run any more, as some key was lost, or nothing. `held` counts its slots, `running`
-- those of them whose chunk runs, `seq` the slots of sequential runs.
local function damage(s, run, held, running, seq)
  local r, m, sum = read_run(s, run), s.meta, 0
  for _, state in ipairs(STATES) do
    if r[state] < 0 then return 'a count is below zero' end
    sum = sum + r[state]
  end
  if r.boot and r.boot ~= m.boot then return 'the record of the source was lost' end
  if sum ~= call('ZCARD', key(s, 'all', run)) then return 'the list of chunks was lost' end
  if r.a ~= call('ZCARD', key(s, 'a', run)) then return 'the list of available chunks was lost' end
  if r.t ~= call('ZCARD', key(s, 'later', run)) then return 'the list of waiting chunks was lost' end
  if r.slots ~= held or r.r ~= running or m.seq ~= seq then return 'a list of leases, or a leased chunk, was lost' end
  if r.c > 0 and #call('LRANGE', key(s, 'hints', run), r.c - 1, r.c - 1) == 0 then
    return 'the list of completions was lost'
  end
  if r.open == 1 and not call('ZSCORE', s.turns, r.mode == 's' and '*' or run) then
    return 'the list of open runs was lost'
  end
  if r.open == 1 and r.mode == 's' then
    for _, of in ipairs(call('SMEMBERS', s.seqs)) do
      if of == run then return '' end
    end
    return 'the list of sequential runs was lost'
  end
  return ''
end

-- ARGV: run. Returns nothing for an unknown run, else {{state, count, ...}, pages, rows, bytes, stopped (0|1),
-- error (or nothing), {range, worker, attempt, pages, rows, bytes, ... of what runs}, paused, or its source is (0|1),
-- {ms that the source is on hold, why}, ms that the clock was set back, grants of the source so far, damage (or nothing)}.
local function progress(keys, args)
  local run = name(args[1])
  local s = look_in(keys)
  local r = read_run(s, run)
  if not r.mode and call('EXISTS', key(s, 'all', run)) == 0 then return false end
  local counts, running, held, seq = {}, {}, 0, 0
  for _, state in ipairs(STATES) do
    counts[#counts + 1] = state
    counts[#counts + 1] = math.max(r[state], 0)
  end
  for _, slot in ipairs(call('ZRANGE', s.slots, 0, -1)) do
    local worker, nonce, of, range = parse_slot(slot)
    if of and read_run(s, of).mode == 's' then seq = seq + 1 end
    if of == run then held = held + 1 end
    local c = of == run and read_chunk(s, run, range)
    if holds(c, worker, nonce) then
      for _, v in ipairs({ range, worker, c.failed + 1, c.pages, c.rows, c.bytes }) do running[#running + 1] = v end
    end
  end
  return { counts, math.max(r.pages, 0), math.max(r.rows, 0), math.max(r.bytes, 0), is_stopped(r) and 1 or 0,
    r.error or '', running, (r.paused == 1 or s.meta.paused == 1) and 1 or 0, hold_left(s), s.meta.ahead, s.meta.turn,
    damage(s, run, held, #running / 6, seq) }
end

-- No ARGV. Returns whether nothing of the source is held or will be granted before more is enqueued (0|1).
local function closed(keys)
  return is_closed(look_in(keys)) and 1 or 0
end

-- ARGV: run, offset, how many. Returns {how many were looked at, {range, generation, state, ...}}. The generation of a
-- chunk that ended so long ago that its hash is gone is 0.
local function known(keys, args)
  local run, offset, limit = name(args[1]), count(args[2]), count(args[3])
  local s = look_in(keys)
  local ranges = call('ZRANGE', key(s, 'all', run), offset, offset + limit - 1)
  local found = {}
  for _, range in ipairs(ranges) do
    local c = read_chunk(s, run, range)
    for _, v in ipairs({ range, c.g, c.s }) do found[#found + 1] = v end
  end
  return { #ranges, found }
end

-- ---- the doors -----------------------------------------------------------------------------------

local function door(of, callback, ...)
  redis.register_function({ function_name = 'nstore_1_' .. of, callback = callback, flags = { ... } })
end

door('enqueue', enqueue)
door('claim', claim)
-- what ends work or keeps it going must not fail when memory is full
door('report', report, 'allow-oom')
door('heartbeat', heartbeat, 'allow-oom')
door('give_back', give_back, 'allow-oom')
door('hold', hold, 'allow-oom')
door('lift', lift, 'allow-oom')
door('reset', reset, 'allow-oom')
door('cancel', cancel, 'allow-oom')
door('pause', pause, 'allow-oom')
door('adopt', adopt, 'allow-oom')
door('forget', forget, 'allow-oom')
door('progress', progress, 'no-writes')
door('known', known, 'no-writes')
door('held', held, 'no-writes')
door('closed', closed, 'no-writes')
