package topologies

import "time"

// What a topology file may ask for. Files beyond a limit are refused with a problem that names it.
const (
	MaxFileBytes = 1 << 20 // size of a file
	MaxNodes     = 1000    // nodes in a ring
	MaxHostBytes = 253     // length of a host name, as in DNS
	MaxNameBytes = 128     // length of the name of a ring or a site
	MaxEndpoint  = 512     // length of an endpoint or HTTP address

	maxProblems  = 100  // problems listed; the rest is counted
	maxCollected = 1000 // problems kept to choose those from
	maxListed    = 8    // names listed in one message; the rest is counted
)

// bounds of the timers, both inclusive.
const (
	minPingInterval = time.Millisecond
	maxPingInterval = time.Minute
	maxPeerTimeout  = time.Hour
	maxDelay        = time.Hour
)
