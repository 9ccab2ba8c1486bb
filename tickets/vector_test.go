package tickets

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func vectors() *rapid.Generator[Vector] {
	return rapid.Custom(func(t *rapid.T) Vector {
		var v Vector
		for range rapid.IntRange(0, 6).Draw(t, "entries") {
			o := Origin{rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "host"), rapid.Uint64Range(1, 3).Draw(t, "epoch")}
			v.Extend(o, rapid.Uint64Range(0, 5).Draw(t, "seq"))
		}
		return v
	})
}

func checkVector(t *rapid.T, v Vector) {
	for i, e := range v {
		if e.Seq == 0 || i > 0 && v[i-1].Origin.Compare(e.Origin) >= 0 {
			t.Fatalf("%v is not in its form", v)
		}
	}
}

func TestVectorLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, w, x := vectors().Draw(t, "v"), vectors().Draw(t, "w"), vectors().Draw(t, "x")
		oldV, oldW := slices.Clone(v), slices.Clone(w)
		join := v.Join(w)
		checkVector(t, v)
		checkVector(t, join)
		if !slices.Equal(join, w.Join(v)) || !slices.Equal(v.Join(v), v) || !slices.Equal(join.Join(v), join) {
			t.Fatalf("joining %v and %v: %v", v, w, join)
		}
		if !slices.Equal(join.Join(x), v.Join(w.Join(x))) {
			t.Fatal("joining is not associative")
		}
		if !join.Covers(v) || !join.Covers(w) {
			t.Fatalf("%v does not cover %v and %v", join, v, w)
		}
		if x.Covers(v) && x.Covers(w) && !x.Covers(join) {
			t.Fatalf("%v is not the smallest to cover %v and %v: %v", join, v, w, x)
		}
		if v.Covers(w) && w.Covers(v) != slices.Equal(v, w) || v.Covers(w) != (len(v.Missing(w)) == 0) {
			t.Fatalf("%v and %v: covers, equal and missing disagree", v, w)
		}
		for _, e := range join {
			if e.Seq != max(v.Get(e.Origin), w.Get(e.Origin)) {
				t.Fatalf("joining %v and %v: %v", v, w, join)
			}
		}
		for i := range join {
			join[i].Seq = 99
		}
		if !slices.Equal(v, oldV) || !slices.Equal(w, oldW) {
			t.Fatal("joining changed its inputs, or shares memory with them")
		}
	})
}

func TestMissingIsWhatLacks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, w := vectors().Draw(t, "v"), vectors().Draw(t, "w")
		repaired := slices.Clone(v)
		for _, r := range v.Missing(w) {
			if r.From != v.Get(r.Origin)+1 || r.To < r.From {
				t.Fatalf("%v lacks %+v of %v", v, r, w)
			}
			repaired.Extend(r.Origin, r.To)
		}
		if !slices.Equal(repaired, v.Join(w)) {
			t.Fatalf("%v with what it lacks of %v is %v", v, w, repaired)
		}
	})
}

func TestVectorString(t *testing.T) {
	var v Vector
	v.Extend(Origin{"b", 255}, 3)
	v.Extend(Origin{"a", 1}, 2)
	v.Extend(Origin{"a", 2}, 0)
	if got := v.String(); got != "a/1:2 b/ff:3" {
		t.Fatal(got)
	}
}
