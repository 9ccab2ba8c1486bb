-- What all scripts have in common: every thread draws other names, and the result is one line of JSON.
local threads = 0

function setup(thread)
	threads = threads + 1
	thread:set("number", threads)
end

function init(args)
	counters = tonumber(args[1])
	math.randomseed(tonumber(args[2]) * 64 + number)
	if prepare then prepare() end
end

function done(summary, latency)
	io.write(string.format(
		'{"requests":%d,"microseconds":%d,"failed":%d,"p50":%d,"p99":%d}\n',
		summary.requests, summary.duration,
		summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status + summary.errors.timeout,
		latency:percentile(50), latency:percentile(99)))
end
