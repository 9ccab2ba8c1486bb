package work

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"
)

type fakeRacer struct {
	name  string
	took  time.Duration
	order *[]string
}

func (r fakeRacer) once(context.Context) (time.Duration, error) {
	*r.order = append(*r.order, r.name)
	return r.took, nil
}

func TestRacersTakeTurnsUpdateByUpdate(t *testing.T) {
	var order []string
	got, err := race(t.Context(), []racer{fakeRacer{"a", time.Millisecond, &order}, fakeRacer{"b", time.Second, &order}}, time.Nanosecond)
	if err != nil || !slices.Equal(order, []string{"a", "b"}) {
		t.Fatalf("order %v, %v", order, err)
	}
	for i, want := range []float64{1, 1000} {
		if p50 := got[i]["p50"]; p50 < 0.9*want || p50 > 1.1*want {
			t.Errorf("%s: p50 %g ms, want %g", order[i], p50, want)
		}
	}
}

// forgetful is a pair that loses the first updates.
type forgetful struct{ made, lost int64 }

func (p *forgetful) updates() int64               { return p.made }
func (p *forgetful) update(context.Context) error { p.made++; return nil }
func (p *forgetful) arrived(_ context.Context, n int64) (bool, error) {
	return n > p.lost, nil
}

func TestWarmUpEndsWhenAnUpdateArrives(t *testing.T) {
	p := &forgetful{lost: 1}
	if err := (pairRacer{p}).warmUp(t.Context()); err != nil || p.made != 2 {
		t.Errorf("%d updates, %v", p.made, err)
	}
	if _, err := (pairRacer{&forgetful{lost: 1}}).within(t.Context(), 0); !errors.Is(err, errNotArrived) {
		t.Errorf("an update that was lost: %v", err)
	}
}

func TestBareMessageArrivesAndIsSynced(t *testing.T) {
	s := &stage{dir: t.TempDir()}
	defer s.strike()
	b, err := newBareMessage(s)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if took, err := b.once(t.Context()); err != nil || took <= 0 {
			t.Fatalf("%s, %v", took, err)
		}
	}
	if err := b.file.Close(); err != nil {
		t.Fatal(err)
	}
	if b.file.Write() == nil {
		t.Error("a write to a closed file was taken for one")
	}
}
