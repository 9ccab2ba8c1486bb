package ring

import (
	"testing"

	"bluerings/hlc"
	"bluerings/tickets"
	"bluerings/value"
)

// TestMuchFromOthersIsNotHeldUp: what others send is stored before it fills
// the memory set aside for it, however long the interval of commits is. Beyond,
// nothing more would be asked for, and then dropped.
func TestMuchFromOthersIsNotHeldUp(t *testing.T) {
	topo := generate(t, "full-mesh", 2)
	from, host := topo.Nodes[0].Host, topo.Nodes[1].Host
	n := open(t, Config{Topology: topo, Host: host, Data: t.TempDir() + "/data", Bind: []string{topo.Nodes[1].Pub}, Durability: slowly(t)})
	defer closeNode(t, n)
	const messages, each = 60, 1000
	encoder, at := tickets.NewEncoder(n.kind), hlc.Timestamp(0)
	for m := range messages {
		run := &tickets.Run{Origin: tickets.Origin{Host: from, Epoch: 1}, First: uint64(m*each + 1), Last: uint64(m*each + each)}
		for i := range each {
			at++
			run.Tickets = append(run.Tickets, tickets.Ticket{
				Origin: run.Origin, Seq: run.First + uint64(i), At: at, Op: tickets.CounterAdd, Name: "n", Amount: value.FromInt64(1), Expire: hlc.Never,
			})
		}
		handler{n}.Received(from, "", n.replica.Frame(encoder.AppendRun(nil, run), false))
	}
	waitUntil(t, "half of it is stored", func() bool { return n.stored() >= messages*each/2 })
}
