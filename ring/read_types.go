package ring

import "bluerings/hlc"

// Verdict is what every answer says of the ring.
type Verdict struct {
	Coherent     bool
	FinalThrough hlc.Timestamp
}

// LedgerQuery selects tickets of one name.
type LedgerQuery struct {
	From, To hlc.Timestamp // both included; 0 for To: no end
	After    *Position     // strictly after this ticket
	Limit    int           // at most so many; 0: no limit
}

// Position is a ticket's place in the order of ledgers.
type Position struct {
	At    hlc.Timestamp
	Host  string
	Epoch uint64
}
