package ring

import (
	"time"

	"bluerings/ring/replica"

	"github.com/prometheus/client_golang/prometheus"
)

// meters are the node's metrics. What the replica counts is read when it is
// asked for.
type meters struct {
	node      *Node
	register  prometheus.Registerer
	fsync     prometheus.Histogram
	batchSize prometheus.Histogram
	// repairBytes counts what was published because somebody asked.
	repairBytes prometheus.Counter
	// crowdedOut counts stretches that were to be read and sent while too many others waited.
	crowdedOut prometheus.Counter
	remote     prometheus.Histogram
}

func newMeters(n *Node) *meters {
	m := &meters{
		node: n, register: n.cfg.Registerer,
		fsync: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "bluerings_commit_seconds", Help: "Time of one durable commit, fsync included.",
			Buckets: prometheus.ExponentialBuckets(50e-6, 2, 16),
		}),
		batchSize: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "bluerings_commit_tickets", Help: "Tickets made durable by one commit.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 9),
		}),
		repairBytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bluerings_repair_given_bytes_total", Help: "Bytes of ranges given to those who asked.",
		}),
		crowdedOut: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bluerings_stretches_dropped_total", Help: "Ranges not sent because too many others waited; they are asked for again.",
		}),
		remote: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "bluerings_commit_to_remote_seconds", Help: "From the timestamp of a ticket that another node flooded until it is durable and counts here, by the two clocks; a sample for each run of tickets.",
			Buckets: prometheus.ExponentialBuckets(250e-6, 2, 18),
		}),
	}
	if m.register != nil {
		m.register.MustRegister(m.fsync, m.batchSize, m.repairBytes, m.crowdedOut, m.remote, m)
	}
	return m
}

func (m *meters) unregister() {
	if m.register != nil {
		m.register.Unregister(m.fsync)
		m.register.Unregister(m.batchSize)
		m.register.Unregister(m.repairBytes)
		m.register.Unregister(m.crowdedOut)
		m.register.Unregister(m.remote)
		m.register.Unregister(m)
	}
}

func (m *meters) committed(d time.Duration, b *replica.Batch) {
	m.fsync.Observe(d.Seconds())
	n := uint64(0)
	for i := range b.Blocks {
		n += b.Blocks[i].Last - b.Blocks[i].First + 1
	}
	m.batchSize.Observe(float64(n))
}

type gauge struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func describe(name, help string, kind prometheus.ValueType, labels ...string) gauge {
	return gauge{prometheus.NewDesc("bluerings_"+name, help, labels, nil), kind}
}

const (
	counter = prometheus.CounterValue
	level   = prometheus.GaugeValue
)

var (
	coherentDesc    = describe("coherent", "1 while the ring is whole.", level)
	peersDesc       = describe("peers_connected", "Other members heard within the peer timeout.", level)
	membersDesc     = describe("members", "Hosts of the topology.", level)
	finalLagDesc    = describe("final_lag_seconds", "How far final_through is behind the clock.", level)
	blockedDesc     = describe("final_blocked_by", "1 for each member that final_through waits for.", level, "host")
	behindDesc      = describe("peer_tickets_behind", "Tickets of a member that this node lacks.", level, "host")
	lagDesc         = describe("peer_lag_seconds", "How long tickets of a member have been lacking here; 0: none does.", level, "host")
	lacksDesc       = describe("peer_tickets_lacking", "Tickets that a neighbour lacks.", level, "host")
	heardDesc       = describe("peer_heard_seconds", "Age of the last evidence of a member.", level, "host")
	offsetDesc      = describe("peer_clock_offset_seconds", "Clock of a neighbour minus ours.", level, "host")
	sentDesc        = describe("tickets_sent_total", "Tickets published.", counter)
	receivedDesc    = describe("tickets_received_total", "Tickets received over links.", counter)
	duplicateDesc   = describe("tickets_duplicate_total", "Tickets received that were known.", counter)
	storedDesc      = describe("tickets_stored_total", "Tickets that were made durable and counted.", counter)
	supersededDesc  = describe("tickets_superseded_total", "Tickets that repeat an id and add nothing.", counter)
	conflictDesc    = describe("id_conflicts_total", "Tickets with the id of another that say something else.", counter)
	replayDesc      = describe("id_replays_total", "Commands answered by the ticket of an earlier one.", counter)
	askedDesc       = describe("repair_ranges_asked_total", "Ranges asked for.", counter)
	givenDesc       = describe("repair_ranges_given_total", "Ranges given.", counter)
	droppedDesc     = describe("messages_refused_total", "Messages and requests dropped by the replica.", counter, "reason")
	skewDesc        = describe("clock_skew_refused_total", "Remote clocks too far ahead to follow.", counter)
	promiseDesc     = describe("promises_broken_total", "Tickets refused because they contradict a promise of their origin.", counter)
	partitionDesc   = describe("partitions_total", "Times the ring stopped being coherent.", counter)
	waitingDesc     = describe("updates_waiting", "Updates accepted and not durable yet.", level)
	gapsDesc        = describe("gaps_open", "Logs of which tickets are known to lack.", level)
	diskDesc        = describe("disk_bytes", "Size of the data files.", level)
	logsDesc        = describe("logs", "Logs held: one for each epoch of each host that ever counted.", level)
	namesDesc       = describe("names", "Names known.", level, "family")
	tableMemoryDesc = describe("table_bytes", "Memory of the folded state.", level)
)

// Describe implements prometheus.Collector.
func (m *meters) Describe(c chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, c) }

// Collect implements prometheus.Collector.
func (m *meters) Collect(c chan<- prometheus.Metric) {
	n := m.node
	emit := func(g gauge, v float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(g.desc, g.kind, v, labels...)
	}
	status, stats := n.Status(), n.Statistics()
	n.mu.RLock()
	counts, dropped := n.replica.Counts(), make(map[string]uint64)
	for reason, count := range counts.Dropped {
		dropped[reason] = count
	}
	memory := n.table.MemoryBytes()
	n.mu.RUnlock()
	connected, gaps := 0, 0
	for _, member := range status.Members {
		if member.Behind > 0 {
			gaps++
		}
		emit(behindDesc, float64(member.Behind), member.Host)
		emit(lagDesc, member.Lag.Seconds(), member.Host)
		if member.Host == n.cfg.Host {
			continue
		}
		if member.Connected {
			connected++
		}
		if member.Heard >= 0 {
			emit(heardDesc, member.Heard.Seconds(), member.Host)
		}
		emit(lacksDesc, float64(member.Lacks), member.Host)
		emit(offsetDesc, member.Offset.Seconds(), member.Host)
	}
	coherent := 0.0
	if status.Coherent {
		coherent = 1
	}
	emit(coherentDesc, coherent)
	emit(peersDesc, float64(connected))
	emit(membersDesc, float64(len(status.Members)))
	emit(gapsDesc, float64(gaps))
	emit(logsDesc, float64(len(status.Vector)))
	if status.FinalThrough > 0 {
		emit(finalLagDesc, time.Duration(n.Now()-status.FinalThrough).Seconds())
	}
	for _, host := range status.BlockedBy {
		emit(blockedDesc, 1, host)
	}
	for reason, count := range dropped {
		emit(droppedDesc, float64(count), reason)
	}
	for g, v := range map[gauge]uint64{
		sentDesc: stats.SentTickets, receivedDesc: counts.Tickets, duplicateDesc: counts.Duplicates, storedDesc: counts.Stored,
		supersededDesc: counts.Superseded, conflictDesc: counts.Conflicts, replayDesc: counts.Replayed,
		askedDesc: counts.Asked, givenDesc: counts.Given, skewDesc: counts.SkewRefused, promiseDesc: counts.PromiseBroken,
		partitionDesc: counts.Partitions, waitingDesc: uint64(stats.QueueDepth), diskDesc: uint64(stats.DiskBytes), tableMemoryDesc: uint64(memory),
	} {
		emit(g, float64(v))
	}
	emit(namesDesc, float64(stats.Counters), "counters")
	emit(namesDesc, float64(stats.Texts), "texts")
	emit(namesDesc, float64(stats.Sets), "sets")
}
