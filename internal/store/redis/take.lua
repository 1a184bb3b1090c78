-- Answers takes by the arithmetic that store.Rule and store.Take describe, all at
-- once and by this server's clock, in whole microseconds.
--
-- KEYS are one for each take. ARGV[1] is calls one after the other: the number of
-- takes in a byte, and each as it is read below. The answer is one string, for each
-- take whether it fits, and granted, left, more and wait.
--
-- A key holds a string: a byte with algorithm + 4 * width, what is counted in all,
-- and a time. That is since when a fixed window counts, when a bucket was last
-- looked at, and when the newest entry of a sliding window began. Entries follow, the
-- oldest first: until when they count, less the window, and how much, in a number
-- as wide as any entry has needed. Only entries at both ends are read, the newest is held
-- apart as last and tail. Nothing is written unless something is counted or given
-- back, or its time is put right, and a key ends when nothing of it counts any more.
local unpack, pack, sub = struct.unpack, struct.pack, string.sub
local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min
local clock = redis.call('TIME')
local time, grace = clock[1] * 1000000 + clock[2], 0
local SLIDING, FIXED = 0, 1
local SPEND, CHARGE = 0, 2
local HEADER, FORMATS, SIZES = 17, {[0] = '<dI2', '<dI4', '<dd'}, {[0] = 10, 12, 16}
-- LONGEST is how long a key stays at most, and how far ahead an entry may count: twice the
-- longest window and more. EXACT is up to where numbers are whole.
-- AHEAD is by how much this clock may be behind what is there without more ado.
local LONGEST, EXACT, AHEAD = 64 * 86400 * 1000000, 2^53, 1000000
local states, changed, several = {}, {}, false

local function clear(st, kind)
  st.kind, st.width, st.total, st.first, st.tail = kind, 0, 0, 0, 0
  st.body, st.from, st.to, st.joined = '', 1, 0, ''
end

-- read returns the state under a key. What is no state counts as none, and so does what
-- has numbers that nothing could have counted: no number is one. All fields are named at
-- once, so that the table need not grow.
local function read(key)
  local s = redis.pcall('GET', key)
  local st = {key = key, there = s, kind = SLIDING, width = 0, total = 0, first = 0, last = 0, tail = 0,
    head = 0, body = '', from = 1, to = 0, joined = '', rule = false, was = false}
  states[key] = st
  if type(s) ~= 'string' or #s < HEADER then
    return st
  end
  local tag, total, first = unpack('<Bdd', s)
  if not (total > 0 and total < math.huge and first > -EXACT and first < EXACT) then
    return st
  end
  if tag % 4 == SLIDING then
    local width = tag / 4
    local size = SIZES[width]
    if not size or #s == HEADER or (#s - HEADER) % size ~= 0 then
      return st
    end
    local last, tail = unpack(FORMATS[width], s, #s - size + 1)
    if not (last > -EXACT and last <= max(time, first) + LONGEST and tail > 0 and tail < math.huge) then
      return st
    end
    st.width, st.body, st.from, st.to, st.last, st.tail = width, s, HEADER + 1, #s - size, last, tail
  end
  st.kind, st.total, st.first = tag % 4, total, first
  return st
end

-- fold puts the newest but one entry with the others.
local function fold(st)
  st.body = sub(st.body, st.from, st.to) .. st.joined
  st.from, st.to, st.joined = 1, #st.body, ''
end

-- rewrite writes all entries but the newest anew, as wide as told, and that much earlier.
local function rewrite(st, width, earlier)
  fold(st)
  local entries, format = {}, FORMATS[st.width]
  for i = st.from, st.to, SIZES[st.width] do
    local last, n = unpack(format, st.body, i)
    entries[#entries + 1] = pack(FORMATS[width], last - earlier, n)
  end
  st.body, st.width, st.from = table.concat(entries), width, 1
  st.to = #st.body
end

-- rewind makes it as if all had been counted by this clock, and the newest just now. The
-- clock was put back, or is another server's after a failover: what is in its future
-- would count for that much longer. It is written in any case, even if nobody is
-- counted, because the next time it would be just now again.
local function rewind(st, t)
  local earlier = st.first - time
  if t.kind == SLIDING then
    rewrite(st, st.width, earlier)
    st.last = st.last - earlier
  end
  st.first, st.rule, changed[st.key] = time, t, st
end

-- settle lets go of what has ended, and notes the time that counts: a clock never goes
-- behind what is there. By more than AHEAD what is there follows the clock.
local function settle(st, t)
  if st.kind ~= t.kind then
    clear(st, t.kind)
  end
  if st.first > time + AHEAD then
    rewind(st, t)
  end
  if t.kind == SLIDING then
    if st.joined ~= '' then
      fold(st)
    end
    local format, size = FORMATS[st.width], SIZES[st.width]
    while st.from <= st.to do
      local last, n = unpack(format, st.body, st.from)
      if last + t.window > time and last <= time + LONGEST then
        st.head = last
        break
      end
      st.total, st.from = st.total - n, st.from + size
    end
    if st.from > st.to and st.tail > 0 and st.last + t.window <= time then
      st.total, st.tail = 0, 0
    end
    t.now = st.tail > 0 and max(time, st.first) or time
  elseif t.kind == FIXED then
    if time >= st.first + t.window then
      st.total = 0
    end
    t.now = st.total > 0 and max(time, st.first) or time
  else
    if st.total > 0 then
      t.now = max(time, st.first)
      st.total = max(0, st.total - (t.now - st.first) * t.rate)
    end
    if st.total == 0 then
      t.now = time
    end
    st.first = t.now
  end
end

-- free is how much may be spent, wait how long until need may.
local function free(st, t)
  if t.kind > FIXED then
    return max(0, floor(t.burst - t.ahead * t.rate - st.total + 1e-6))
  end
  return max(0, t.limit - st.total)
end

local function wait(st, t, need)
  if t.kind > FIXED then
    return max(1, ceil((st.total + need - (t.burst - t.ahead * t.rate)) / t.rate))
  elseif t.kind == FIXED then
    return st.total > 0 and st.first + t.window - t.now or 0
  end
  local left, format, size = st.total, FORMATS[st.width], SIZES[st.width]
  for i = st.from, st.to, size do
    local last, n = unpack(format, st.body, i)
    left = left - n
    if t.limit - left >= need then
      return last + t.window - t.now
    end
  end
  return st.tail > 0 and st.last + t.window - t.now or 0
end

-- remain is what is left, and how long until that grows.
local function remain(st, t)
  if t.kind > FIXED then
    local left = max(0, floor(t.burst - st.total + 1e-6))
    return left, left >= t.burst and 0 or max(1, ceil((st.total - (t.burst - left - 1)) / t.rate))
  end
  local more = 0
  if st.total > 0 then
    local start = st.first
    if t.kind == SLIDING then
      start = (st.from <= st.to or st.joined ~= '') and st.head or st.last
    end
    more = start + t.window - t.now
  end
  return max(0, t.limit - st.total), more
end

-- widen makes the entries wider where the tail needs a wider number than they have.
local function widen(st)
  local width = st.tail < 65536 and 0 or st.tail < 4294967296 and 1 or 2
  if width > st.width then
    rewrite(st, width, 0)
  end
end

local function count(st, t, n)
  if t.kind == SLIDING then
    local at = t.now + t.ahead
    if st.tail > 0 then
      at = max(at, st.last)
      if (t.limit > 60 and t.now - st.first < floor(t.window / 60)) or at == st.last or st.to - st.from + 1 >= 63 * SIZES[st.width] then
        st.total, st.tail, st.last = st.total + n, st.tail + n, at
        return
      end
      widen(st)
      if st.from > st.to then
        st.head = st.last
      end
      st.joined = pack(FORMATS[st.width], st.last, st.tail)
    end
    st.first, st.last, st.tail = t.now, at, n
  elseif t.kind == FIXED and st.total == 0 then
    st.first = t.now
  end
  st.total = st.total + n
end

-- back takes off what was counted last.
local function back(st, t, n)
  st.total = st.total - n
  if t.kind ~= SLIDING then
    return
  end
  while n > 0 and st.tail > 0 do
    local m = min(n, st.tail)
    n, st.tail = n - m, st.tail - m
    if st.tail == 0 and st.from <= st.to then
      local size = SIZES[st.width]
      st.last, st.tail = unpack(FORMATS[st.width], st.body, st.to - size + 1)
      st.to = st.to - size
    end
  end
end

-- change counts n, or gives it back. Where a call has several takes it keeps how all
-- was until the call is decided.
local function change(st, t, f, n)
  if several and not st.was then
    local was = {}
    for k, v in pairs(st) do
      was[k] = v
    end
    st.was = was
  end
  t.granted, st.rule, changed[st.key] = n, t, st
  f(st, t, n)
end

-- anyway does what depends on nothing.
local function anyway(st, t)
  t.fits = 1
  if t.action == CHARGE then
    change(st, t, count, t.cost)
  elseif st.total > 0 then
    change(st, t, back, min(t.cost, st.total))
  end
end

-- judge tells whether a take keeps the others of its call from being counted.
local function judge(st, t)
  local got, need = free(st, t), t.least > 0 and t.least or t.cost
  if got < need then
    t.wait = wait(st, t, need)
    return t.soft == 0
  end
  t.fits = 1
  if t.action == SPEND then
    change(st, t, count, min(t.cost, got))
  end
  return false
end

-- undo makes all as it was before the call, and does what is done in any case.
local function undo(takes)
  for i = 1, #takes do
    local st = takes[i].st
    local was = st.was
    if was then
      for k, v in pairs(was) do
        st[k] = v
      end
      st.rule, st.was = was.rule, false
      if not st.rule then
        changed[st.key] = nil
      end
    end
    takes[i].granted = 0
  end
  for i = 1, #takes do
    local t = takes[i]
    if t.action >= CHARGE then
      settle(t.st, t)
      anyway(t.st, t)
    end
  end
end

-- write puts a state under its key, for as long as anything of it counts, up to LONGEST.
local function write(st)
  if st.total <= 0 then
    if st.there then
      redis.call('DEL', st.key)
    end
    return
  end
  local stop, s = st.first + st.rule.window
  if st.kind == SLIDING then
    stop = st.last + st.rule.window
    widen(st)
    s = pack('<Bdd', 4 * st.width, st.total, st.first) .. sub(st.body, st.from, st.to) .. st.joined .. pack(FORMATS[st.width], st.last, st.tail)
  else
    if st.kind > FIXED then
      stop = st.first + st.total / st.rule.rate
    end
    s = pack('<Bdd', st.kind, st.total, st.first)
  end
  local left = max(1, ceil(min(stop - time, LONGEST) / 1000))
  redis.call('SET', st.key, s, 'PX', string.format('%.0f', left + grace))
end

local answers, calls, at, k = {}, ARGV[1], 1, 0
while at <= #calls do
  local takes, refused = {}, false
  local n = string.byte(calls, at)
  at, several = at + 1, n > 1
  for i = 1, n do
    local action, kind, soft, limit, burst, cost, least, window, ahead, next = unpack('<BBBdddddd', calls, at)
    at, k = next, k + 1
    local st = states[KEYS[k]] or read(KEYS[k])
    local t = {st = st, action = action, kind = kind, soft = soft, limit = limit, burst = burst, cost = cost, least = least,
      window = window, ahead = ahead, rate = limit / window, now = time, fits = 0, granted = 0, wait = 0}
    takes[i] = t
    settle(st, t)
    if t.action >= CHARGE then
      anyway(st, t)
    elseif judge(st, t) then
      refused = true
    end
  end
  if refused then
    undo(takes)
  end
  for i = 1, n do
    local t = takes[i]
    if several then
      t.st.was = false
      settle(t.st, t) -- which another take may have emptied, and begun anew
    end
    local left, more = remain(t.st, t)
    answers[#answers + 1] = pack('<Bdddd', t.fits, t.granted, left, more, t.wait)
  end
end
for _, st in pairs(changed) do
  write(st)
end
return table.concat(answers)
