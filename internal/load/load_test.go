package load

import (
	"math"
	"testing"
	"time"
)

func TestBucketsHoldWhatTheySay(t *testing.T) {
	for _, n := range []uint64{0, 1, 31, 32, 33, 63, 64, 65, 1000, 1e6, 1e9, math.MaxInt64} {
		i := bucket(n)
		if n > top(i) || i > 0 && n <= top(i-1) {
			t.Errorf("%d is in bucket %d, which holds %d to %d", n, i, top(i-1)+1, top(i))
		}
		if float64(top(i)) > float64(n)*(1+1.0/steps) {
			t.Errorf("%d is rounded up to %d", n, top(i))
		}
	}
}

func TestQuantiles(t *testing.T) {
	var a, b Histogram
	for i := range 500 {
		a.Add(time.Duration(i+1) * time.Microsecond)
		b.Add(time.Duration(i+501) * time.Microsecond)
	}
	a.Merge(&b)
	for q, want := range map[float64]time.Duration{0.5: 500, 0.9: 900, 0.99: 990, 1: 1000} {
		got := a.Quantile(q)
		want *= time.Microsecond
		if got < want || float64(got) > 1.04*float64(want) {
			t.Errorf("quantile %g is %s, want about %s", q, got, want)
		}
	}
	if a.Max() != time.Millisecond || a.Count() != 1000 {
		t.Errorf("max %s of %d", a.Max(), a.Count())
	}
}
