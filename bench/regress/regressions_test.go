package main

import (
	"slices"
	"testing"
)

func TestRegressionsAreFoundInBothDirections(t *testing.T) {
	const text = `pkg: bluerings/ring
,base,,now,,,
,sec/op,CI,sec/op,CI,vs base,P
Slower-2,1e-07,2%,2e-07,1%,+100.00%,p=0.002 n=6
Faster-2,1e-07,2%,5e-08,1%,-50.00%,p=0.002 n=6
Same-2,1e-07,2%,1.1e-07,1%,~,p=0.5 n=6
geomean,1e-07,,2e-07,,+100.00%,

,base,,now,,,
,updates/s,CI,updates/s,CI,vs base,P
Slower-2,51,2%,31,3%,-39.22%,p=0.002 n=6
Faster-2,31,2%,51,3%,+60.00%,p=0.002 n=6
`
	got, err := regressions([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"ring Slower-2: +100.00% sec/op (p=0.002 n=6)", "ring Slower-2: -39.22% updates/s (p=0.002 n=6)"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
