package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"bluerings/hlc"
	"bluerings/ring"
)

// coherence is the answer of GET /v1/coherence.
type coherence struct {
	Host            string            `json:"host"`
	Ring            string            `json:"ring"`
	Value           string            `json:"value"`
	Durability      string            `json:"durability"`
	Now             hlc.Timestamp     `json:"now"`
	Coherent        bool              `json:"coherent"`
	Since           hlc.Timestamp     `json:"since"`
	Reasons         []reason          `json:"reasons"`
	FinalThrough    hlc.Timestamp     `json:"final_through"`
	CompleteThrough hlc.Timestamp     `json:"complete_through"`
	BlockedBy       []string          `json:"blocked_by"`
	Members         []member          `json:"members"`
	Vector          map[string]uint64 `json:"vector"`
}

type reason struct {
	Code   string `json:"code"`
	Host   string `json:"host"`
	Detail string `json:"detail"`
}

type member struct {
	Host            string        `json:"host"`
	Role            string        `json:"role"`
	Epoch           string        `json:"epoch"` // hexadecimal, as in origins
	Connected       bool          `json:"connected"`
	HeardMsAgo      *int64        `json:"heard_ms_ago"` // null: never
	HearsAll        bool          `json:"hears_all"`
	Behind          uint64        `json:"behind"`
	Lacks           uint64        `json:"lacks"`
	OffsetMs        float64       `json:"clock_offset_ms"`
	CompleteThrough hlc.Timestamp `json:"complete_through"`
	ClosedThrough   hlc.Timestamp `json:"closed_through"`
}

// getCoherence answers with the state of the ring, after a wait for its
// coherence where one is asked for.
func (a *API) getCoherence(x *exchange) error {
	patience, err := x.duration(0)
	if err != nil {
		return err
	}
	if patience > 0 && !a.node.Verdict().Coherent {
		ctx, done, err := x.wait(patience)
		if err != nil {
			return err
		}
		err = a.node.WaitCoherent(ctx)
		done()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
	status := a.node.Status()
	x.mirror(a.written(ring.Verdict{Coherent: status.Coherent, FinalThrough: status.FinalThrough}))
	required, err := x.coherence()
	if err != nil {
		return err
	}
	if required && !status.Coherent {
		return ring.ErrNotCoherent
	}
	return x.json(a.coherence(&status))
}

func (a *API) coherence(s *ring.Status) *coherence {
	c := &coherence{
		Host: s.Host, Ring: s.Ring, Value: s.Kind.String(), Durability: s.Durability, Now: a.node.Now(),
		Coherent: s.Coherent, Since: s.Since, Reasons: make([]reason, len(s.Reasons)),
		FinalThrough: s.FinalThrough, CompleteThrough: s.CompleteThrough,
		BlockedBy: append([]string{}, s.BlockedBy...), Members: make([]member, len(s.Members)),
		Vector: make(map[string]uint64, len(s.Vector)),
	}
	for i, r := range s.Reasons {
		c.Reasons[i] = reason(r)
	}
	for i, m := range s.Members {
		c.Members[i] = member{
			Host: m.Host, Role: m.Role, Epoch: strconv.FormatUint(m.Epoch, 16), Connected: m.Connected, HearsAll: m.HearsAll,
			Behind: m.Behind, Lacks: m.Lacks, OffsetMs: float64(m.Offset) / float64(time.Millisecond),
			CompleteThrough: m.Complete, ClosedThrough: m.Closed,
		}
		if m.Heard >= 0 {
			c.Members[i].HeardMsAgo = new(m.Heard.Milliseconds())
		}
	}
	for _, e := range s.Vector {
		c.Vector[e.Origin.String()] = e.Seq
	}
	return c
}

// statistics is the answer of GET /v1/statistics.
type statistics struct {
	Recv        uint64 `json:"recv"`
	RecvTickets uint64 `json:"recv_tickets"`
	Sent        uint64 `json:"sent"`
	SentTickets uint64 `json:"sent_tickets"`
	Stored      uint64 `json:"stored"`
	Duplicates  uint64 `json:"duplicates"`
	Superseded  uint64 `json:"superseded"`
	Conflicts   uint64 `json:"conflicts"`
	Replayed    uint64 `json:"replayed"`
	Counters    int    `json:"counters"`
	Texts       int    `json:"texts"`
	Sets        int    `json:"sets"`
	Tickets     uint64 `json:"tickets"`
	Commits     uint64 `json:"commits"`
	QueueDepth  int    `json:"queue_depth"`
	DiskBytes   int64  `json:"disk_bytes"`
}

func (a *API) getStatistics(x *exchange) error {
	x.judged()
	return x.json(statistics(a.node.Statistics()))
}

// link is one directed link in the answer of GET /v1/topology.
type link struct {
	From  string `json:"from"`
	To    string `json:"to"`
	State string `json:"state"`
}

func (a *API) getTopology(x *exchange) error {
	x.judged()
	switch format := x.query.Get("format"); format {
	case "", "json":
		answer := struct {
			Topology any    `json:"topology"`
			Links    []link `json:"links"`
		}{Links: []link{}}
		if a.topology != nil {
			answer.Topology = a.topology()
		}
		for _, l := range a.node.Links() {
			answer.Links = append(answer.Links, link(l))
		}
		return x.json(answer)
	case "svg", "dot", "mermaid":
		return x.draw(format)
	default:
		return problem(BadParameter, "format is none of json, svg, dot, mermaid").in("format")
	}
}

// draw answers with the graph. A picture may not run or load anything.
func (x *exchange) draw(format string) error {
	if x.api.graph == nil {
		return problem(BadParameter, "this node has no topology to draw").in("format")
	}
	picture, err := x.api.graph(format)
	if err != nil {
		return err
	}
	mediaType := mediaText + "; charset=utf-8"
	if format == "svg" {
		mediaType = mediaSVG
		x.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
	}
	x.out = append(x.out[:0], picture...)
	return x.send(200, []string{mediaType})
}

func (a *API) getDigest(x *exchange) error {
	at, err := x.time("at")
	if err != nil {
		return err
	}
	v := x.judged()
	if at == 0 {
		if at = v.FinalThrough; at == 0 {
			return a.notFinal(a.node.Now())
		}
	}
	digest, err := a.node.Digest(x.r.Context(), at)
	if err != nil {
		return err
	}
	return x.json(struct {
		At           hlc.Timestamp `json:"at"`
		Digest       string        `json:"digest"`
		Final        bool          `json:"final"`
		Coherent     bool          `json:"coherent"`
		FinalThrough hlc.Timestamp `json:"final_through"`
	}{at, digest, v.final(at), v.Coherent, v.FinalThrough})
}

// getBackup streams the copy. Once it has begun, an error ends the
// connection: half a backup must not look whole.
func (a *API) getBackup(x *exchange) error {
	h := x.Header()
	h.Set("Content-Type", mediaTar)
	h.Set("Content-Disposition", `attachment; filename="bluerings-backup.tar"`)
	return a.node.Backup(&patient{x, http.NewResponseController(x.ResponseWriter)})
}

// patient gives every write its own time, however long the whole takes.
type patient struct {
	x       *exchange
	control *http.ResponseController
}

func (p *patient) Write(b []byte) (int, error) {
	// Writers without deadlines refuse this, and need it not.
	_ = p.control.SetWriteDeadline(time.Now().Add(p.x.api.limits.StallTime))
	return p.x.Write(b)
}

func (a *API) getLive(x *exchange) error {
	x.out = append(x.out[:0], `{"alive":true}`...)
	return x.reply(200)
}

func (a *API) getReady(x *exchange) error {
	if err := a.node.Ready(); err != nil {
		return problem(NotReady, "%s", err)
	}
	x.out = append(x.out[:0], `{"ready":true}`...)
	return x.reply(200)
}

func (a *API) getMetrics(x *exchange) error {
	promhttp.HandlerFor(a.gatherer, promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP(x, x.r)
	return nil
}

// json answers with v; for answers that need not be fast.
func (x *exchange) json(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	x.out = append(x.out[:0], b...)
	return x.reply(200)
}
