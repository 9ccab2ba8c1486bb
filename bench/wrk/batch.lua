-- A thousand updates of random counters a request. Arguments: how many counters, seed.
-- The bodies are made once, or their making would take longer than their sending.
local bodies, next = {}, 0

function prepare()
	for i = 1, 200 do
		local lines = {}
		for j = 1, 1000 do
			lines[j] = string.format('{"op":"counter.update","name":"tenant-%013d","amount":"7"}\n', math.random(0, counters - 1))
		end
		local headers = { ["Content-Type"] = "application/x-ndjson" }
		bodies[i] = wrk.format("POST", "/v1/batch", headers, table.concat(lines))
	end
end

function request()
	next = next % #bodies + 1
	return bodies[next]
end
