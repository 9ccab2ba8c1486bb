-- One read of a random counter a request. Arguments: how many counters, seed.
local head = "GET /v1/counters/tenant-"
local tail = " HTTP/1.1\r\nHost: bench\r\n\r\n"
local random, format = math.random, string.format

function request()
	return head .. format("%013d", random(0, counters - 1)) .. tail
end
