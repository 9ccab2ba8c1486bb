package node

import "testing"

func TestMetricsAreSummedOverTheirLabels(t *testing.T) {
	text := []byte("# HELP bytes_total x\nbytes_total{peer=\"a b\"} 10\nbytes_total{peer=\"c\"} 2.5e+01\nbytes_total_other 7\nalone 3 # {x=\"y\"} 1\n")
	for name, want := range map[string]float64{"bytes_total": 35, "bytes_total_other": 7} {
		if got, err := sumMetric(text, name); err != nil || got != want {
			t.Errorf("%s is %g, %v; want %g", name, got, err, want)
		}
	}
	if _, err := sumMetric(text, "none"); err == nil {
		t.Error("a metric that is not there was read")
	}
}

func TestNamesHaveTwentyBytes(t *testing.T) {
	if n := Name(1_234_567); len(n) != 20 || Name(0) == Name(1) {
		t.Errorf("name %q", n)
	}
}
