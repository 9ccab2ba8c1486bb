-- One update of a random counter a request. Arguments: how many counters, seed.
local head = "POST /v1/counters/tenant-"
local tail = " HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{\"amount\":\"7\"}"
local random, format = math.random, string.format

function request()
	return head .. format("%013d", random(0, counters - 1)) .. tail
end
