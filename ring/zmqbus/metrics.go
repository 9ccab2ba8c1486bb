package zmqbus

import "github.com/prometheus/client_golang/prometheus"

// collector shows the bus to Prometheus, from the same snapshot as Stats.
type collector struct{ bus *Bus }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("bluerings_bus_"+name, help, labels, nil)
}

var (
	descPublished      = describe("published_messages_total", "Messages published.")
	descPublishedBytes = describe("published_bytes_total", "Bytes of topics and payloads published.")
	descSent           = describe("sent_messages_total", "Messages queued for a subscriber, counted for each.")
	descSentBytes      = describe("sent_bytes_total", "Bytes written to subscribers.")
	descReceived       = describe("received_messages_total", "Messages received.", "upstream")
	descReceivedBytes  = describe("received_bytes_total", "Bytes of topics and payloads received.", "upstream")
	descDropped        = describe("dropped_messages_total", "Messages dropped instead of sent.", "peer", "reason")
	descSubscribers    = describe("subscribers", "Subscribers connected.")
	descBacklog        = describe("backlog_bytes", "Bytes that wait for the slowest healthy subscriber.")
	descUp             = describe("upstream_up", "Whether the subscription to an upstream stands.", "upstream")
	descConnects       = describe("upstream_connects_total", "Connections made to an upstream; all but the first are reconnects.", "upstream")
	descFailures       = describe("upstream_connect_failures_total", "Attempts to connect to an upstream that failed.", "upstream")
	descFailed         = describe("failed_handshakes_total", "Attempts to connect to upstreams that failed.", "reason")
	descRefused        = describe("refused_handshakes_total", "Subscribers' handshakes refused.", "reason")
	descCut            = describe("ended_connections_total", "Connections that ended or were cut off.", "reason")
)

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descPublished, descPublishedBytes, descSent, descSentBytes, descReceived, descReceivedBytes,
		descDropped, descSubscribers, descBacklog, descUp, descConnects, descFailures, descFailed, descRefused, descCut,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	s := c.bus.Stats()
	count(descPublished, s.Published)
	count(descPublishedBytes, s.PublishedBytes)
	count(descSent, s.Sent)
	count(descSentBytes, s.SentBytes)
	gauge(descSubscribers, len(s.Subscribers))
	gauge(descBacklog, c.bus.Backlog())
	for _, u := range s.Upstreams {
		up := 0
		if u.Up {
			up = 1
		}
		gauge(descUp, up, u.Host)
		count(descReceived, u.Received, u.Host)
		count(descReceivedBytes, u.ReceivedBytes, u.Host)
		count(descConnects, u.Connects, u.Host)
		count(descFailures, u.Failures, u.Host)
	}
	for _, d := range s.Drops {
		count(descDropped, d.Messages, d.Peer, d.Reason)
	}
	for reason, n := range s.Refused {
		count(descRefused, n, reason)
	}
	for reason, n := range s.Failed {
		count(descFailed, n, reason)
	}
	for reason, n := range s.Cut {
		count(descCut, n, reason)
	}
}
