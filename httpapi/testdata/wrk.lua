-- Requests of the loopback benchmarks, for wrk: wrk -s wrk.lua URL -- KIND COUNTERS SEED
-- KIND is update, read or batch (1,000 updates); names are drawn from COUNTERS at random.
local threads = 0
function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

local function name(counters)
  return string.format("tenant-%013d", math.random(0, counters - 1))
end

local function batch(counters)
  local lines = {}
  for i = 1, 1000 do
    lines[i] = '{"op":"counter.update","name":"' .. name(counters) .. '","amount":"7"}\n'
  end
  local body = table.concat(lines)
  return "POST /v1/batch HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\nContent-Length: " ..
    #body .. "\r\n\r\n" .. body
end

function init(args)
  local kind, counters = args[1], tonumber(args[2])
  math.randomseed(tonumber(args[3]) + number)
  if kind == "update" then
    local tail = ' HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"amount":"7"}'
    request = function() return "POST /v1/counters/" .. name(counters) .. tail end
  elseif kind == "read" then
    request = function() return "GET /v1/counters/" .. name(counters) .. " HTTP/1.1\r\nHost: a\r\n\r\n" end
  else
    local ready, at = {}, 0
    for i = 1, 200 do ready[i] = batch(counters) end
    request = function()
      at = at % #ready + 1
      return ready[at]
    end
  end
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format("\nRESULT %d %d %d %d\n", summary.requests, summary.duration,
    e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(99)))
end
