//go:build linux

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"
)

// Fault is a kind of fault.
type Fault struct {
	Name string
	lone bool // nothing else may be wrong meanwhile
	long bool // every node notices that a member is gone, the first time and half of the others
	// strike breaks something, waits, and mends it. It returns early, and mends,
	// when ctx ends. An error means that the machine did not do as told.
	strike func(f *struck, ctx context.Context) error
}

// struck is one fault while it lasts.
type struck struct {
	*Ring
	draw  *rand.Rand
	hold  time.Duration // how long it is to last
	keep  int           // processes of the first so many nodes are not ended
	nodes []*node       // all

	missed bool // it had no effect
}

// Faults are all kinds.
func Faults() []Fault {
	return []Fault{
		{Name: "kill", long: true, strike: (*struck).killed}, {Name: "stop", strike: (*struck).stopped},
		{Name: "pause", long: true, strike: (*struck).paused}, {Name: "partition", long: true, strike: (*struck).partition},
		{Name: "deaf", long: true, strike: (*struck).deaf}, {Name: "unheard", long: true, strike: (*struck).unheard},
		{Name: "cut link", strike: (*struck).cutLink}, {Name: "packet loss", strike: (*struck).packetLoss},
		{Name: "answers lost", strike: (*struck).answersLost}, {Name: "delay", strike: (*struck).delayed},
		{Name: "clock jump", strike: (*struck).clockJump}, {Name: "power cut", strike: (*struck).powerCut},
		{Name: "failing fsync", strike: (*struck).failingSync}, {Name: "slow fsync", strike: (*struck).slowSync},
		{Name: "full disk", strike: (*struck).fullDisk}, {Name: "restored backup", lone: true, strike: (*struck).restored},
		{Name: "empty disk", lone: true, strike: (*struck).emptied}, {Name: "old disk", lone: true, strike: (*struck).aged},
	}
}

// Only is those of the kinds that are named.
func Only(names ...string) (some []Fault) {
	for _, f := range Faults() {
		for _, name := range names {
			if f.Name == name {
				some = append(some, f)
			}
		}
	}
	return some
}

// nemesis strikes until the time of the plan is over and every kind has struck
// once, or ctx ends: every kind once before any comes again, up to two at a time,
// and some of them alone. It mends everything before it returns.
func (r *Ring) nemesis(ctx context.Context, p *Plan) {
	draw := r.source()
	var under sync.WaitGroup
	defer under.Wait()
	slots := make(chan struct{}, 2)
	begun := time.Now()
	for round := 0; ; round++ {
		deck := r.shuffled(p.Faults, draw)
		if len(deck) == 0 { // all are skipped
			wait(ctx, p.Duration)
			return
		}
		for _, f := range deck {
			if ctx.Err() != nil || round > 0 && time.Since(begun) > p.Duration {
				return
			}
			s := &struck{Ring: r, draw: rand.New(rand.NewPCG(draw.Uint64(), draw.Uint64())), keep: p.Keep, nodes: r.nodes}
			s.hold = p.Hold/4 + time.Duration(draw.Int64N(int64(p.Hold)))
			if f.long && (round == 0 || draw.IntN(2) == 0) {
				s.hold = r.noticeBound(true) + 500*time.Millisecond + time.Duration(draw.Int64N(int64(2*time.Second)))
			}
			pause := time.Duration(draw.Int64N(int64(p.Pause) + 1))
			if f.lone {
				under.Wait()
				r.alone(ctx, f, s)
			} else {
				slots <- struct{}{}
				under.Go(func() {
					defer func() { <-slots }()
					r.strike(ctx, f, s)
				})
			}
			wait(ctx, pause)
		}
	}
}

// unseen complains of a nemesis without effect: of kinds that did not strike
// though they may, and if nobody was asked about the ring while a member was
// gone for so long that all must have noticed.
func (r *Ring) unseen(p *Plan) {
	r.mu.Lock()
	var missing []string
	long := false
	for _, f := range p.Faults {
		if _, skipped := r.skipped[f.Name]; !skipped && r.counts["fault "+f.Name] == 0 {
			missing = append(missing, f.Name)
		}
		long = long || f.long
	}
	blind := long && r.counts[looksWhileOut] == 0
	r.mu.Unlock()
	if len(missing) > 0 {
		r.violate("faults that did not strike: %q", missing)
	}
	if blind {
		r.violate("coherence was never judged: no answer came while a member was gone for longer than %s", r.noticeBound(false))
	}
}

func (r *Ring) shuffled(faults []Fault, draw *rand.Rand) (deck []Fault) {
	for _, i := range draw.Perm(len(faults)) {
		if _, skipped := r.skipped[faults[i].Name]; !skipped {
			deck = append(deck, faults[i])
		}
	}
	return deck
}

// alone strikes a whole ring, and waits until it is whole again.
func (r *Ring) alone(ctx context.Context, f Fault, s *struck) {
	for range 2 {
		if err := r.await("coherent before or after "+f.Name, r.coherent); err != nil {
			r.violate("%v", err)
		}
		if f.strike == nil || ctx.Err() != nil {
			return
		}
		r.strike(ctx, f, s)
		f.strike = nil
	}
}

func (r *Ring) strike(ctx context.Context, f Fault, s *struck) {
	begun := time.Now()
	if err := f.strike(s, ctx); err != nil {
		r.violate("fault %q: %v", f.Name, err)
	}
	if !s.missed {
		r.count("fault "+f.Name, 1)
	}
	r.Log("%s %s: %s", begun.Format("15:04:05.000"), f.Name, time.Since(begun).Round(time.Millisecond))
}

// wait waits until d has passed or ctx ends.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// victim claims a node whose process may be ended, or waits until there is one.
func (f *struck) victim(ctx context.Context) *node { return f.claimFrom(ctx, f.nodes[f.keep:]) }

func (f *struck) anyNode(ctx context.Context) *node { return f.claimFrom(ctx, f.nodes) }

func (f *struck) claimFrom(ctx context.Context, nodes []*node) *node {
	for ctx.Err() == nil {
		if n := nodes[f.draw.IntN(len(nodes))]; n.claim() {
			return n
		}
		wait(ctx, 50*time.Millisecond)
	}
	return nil
}

func (f *struck) killed(ctx context.Context) error {
	n := f.victim(ctx)
	if n == nil {
		return nil
	}
	defer n.release()
	n.kill()
	if f.draw.IntN(2) == 0 {
		if err := n.copyOld(); err != nil {
			return err
		}
	}
	for f.draw.IntN(3) == 0 { // again while it starts
		if err := n.launch(); err != nil {
			return err
		}
		wait(ctx, time.Duration(f.draw.IntN(80))*time.Millisecond)
		n.kill()
	}
	end := f.out(outage{what: n.host + " was killed", host: n.host})
	wait(ctx, f.hold)
	end()
	return n.start()
}

func (f *struck) stopped(ctx context.Context) error {
	n := f.victim(ctx)
	if n == nil {
		return nil
	}
	defer n.release()
	if err := n.stop(); err != nil {
		return err
	}
	end := f.out(outage{what: n.host + " was stopped", host: n.host})
	wait(ctx, f.hold/2)
	end()
	return n.start()
}

func (f *struck) paused(ctx context.Context) error {
	n := f.anyNode(ctx)
	if n == nil {
		return nil
	}
	defer n.release()
	if err := n.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	end := f.out(outage{what: n.host + " was paused", host: n.host})
	wait(ctx, f.hold)
	end()
	return n.signal(syscall.SIGCONT)
}

// severed cuts the directions for a while; nil is no outage.
func (f *struck) severed(ctx context.Context, o *outage, links [][2]int) error {
	for _, l := range links {
		if err := f.net.cut(l[0], l[1]); err != nil {
			return err
		}
	}
	end := func() {}
	if o != nil {
		end = f.out(*o)
	}
	wait(ctx, f.hold)
	end()
	for _, l := range links {
		if err := f.net.heal(l[0], l[1]); err != nil {
			return err
		}
	}
	return nil
}

func (f *struck) partition(ctx context.Context) error {
	order := f.draw.Perm(len(f.nodes))
	side := 1 + f.draw.IntN(len(order)-1)
	var links [][2]int
	for _, a := range order[:side] {
		for _, b := range order[side:] {
			links = append(links, [2]int{a, b}, [2]int{b, a})
		}
	}
	return f.severed(ctx, &outage{what: fmt.Sprintf("the partition of %v from %v", order[:side], order[side:])}, links)
}

// deaf cuts all that one node could hear.
func (f *struck) deaf(ctx context.Context) error {
	links, host := f.around(true)
	return f.severed(ctx, &outage{what: host + " went deaf", host: host, heard: true}, links)
}

// unheard cuts all that could be heard of one node.
func (f *struck) unheard(ctx context.Context) error {
	links, host := f.around(false)
	return f.severed(ctx, &outage{what: host + " was heard no more", host: host}, links)
}

func (f *struck) around(inward bool) (links [][2]int, host string) {
	one := f.draw.IntN(len(f.nodes))
	for i := range f.nodes {
		switch {
		case i == one:
		case inward:
			links = append(links, [2]int{i, one})
		default:
			links = append(links, [2]int{one, i})
		}
	}
	return links, f.nodes[one].host
}

// cutLink cuts one direction of one link; the ring may still be whole.
func (f *struck) cutLink(ctx context.Context) error {
	order := f.draw.Perm(len(f.nodes))
	return f.severed(ctx, nil, [][2]int{{order[0], order[1]}})
}

func (f *struck) packetLoss(ctx context.Context) error {
	i := f.draw.IntN(len(f.nodes))
	if err := f.net.lose(i, 5+f.draw.IntN(36)); err != nil {
		return err
	}
	wait(ctx, f.hold)
	return f.net.lose(i, 0)
}

// answersLost lets requests in, and no answer out.
func (f *struck) answersLost(ctx context.Context) error {
	i := f.draw.IntN(len(f.nodes))
	if err := f.net.silence(i, true); err != nil {
		return err
	}
	wait(ctx, f.hold/2)
	return f.net.silence(i, false)
}

func (f *struck) delayed(ctx context.Context) error {
	links := f.net.delayable()
	p := f.net.proxies[links[f.draw.IntN(len(links))]]
	p.delay.Store(int64(50*time.Millisecond) + f.draw.Int64N(int64(700*time.Millisecond)))
	before := p.late.Load()
	wait(ctx, f.hold)
	p.delay.Store(0)
	late := p.late.Load() - before
	f.count("delay: chunks that came late", int(late))
	f.missed = late == 0
	return nil
}

// clockJump sets a clock off, and right again. Small jumps stay within what
// nodes follow; large ones do not.
func (f *struck) clockJump(ctx context.Context) error {
	n := f.anyNode(ctx)
	if n == nil {
		return nil
	}
	defer n.release()
	most := int64(300 * time.Millisecond)
	if f.draw.IntN(2) == 0 {
		most = int64(4 * time.Second)
	}
	jump := time.Duration(f.draw.Int64N(2*most) - most)
	if err := n.setClock(jump); err != nil {
		return err
	}
	wait(ctx, f.hold)
	err := n.setClock(0)
	f.mu.Lock()
	defer f.mu.Unlock()
	if until := time.Now().Add(max(jump, 0) + time.Second); until.After(f.ahead) {
		f.ahead = until
	}
	return err
}
