package measure

import "testing"

func TestSpreadIsOfWhatIsThere(t *testing.T) {
	s, ok := Of([]float64{5, Missing, 1, 3, 9})
	if want := (Spread{Median: 4, Min: 1, Max: 9}); !ok || s != want {
		t.Errorf("spread %v, want %v", s, want)
	}
	if _, ok := Of([]float64{Missing}); ok {
		t.Error("a spread of nothing")
	}
}

func TestRatioIsTakenRoundByRound(t *testing.T) {
	// The medians alone would say 2; in each round it was 4, as the machine got slower.
	got, ok := Ratio([]float64{400, 200, 100, 7}, []float64{100, 50, 25, Missing})
	if want := (Spread{4, 4, 4}); !ok || got != want {
		t.Errorf("ratio %v, want %v", got, want)
	}
	if _, ok := Ratio([]float64{1}, []float64{0}); ok {
		t.Error("a ratio to nothing")
	}
}

func TestNumbersAreWrittenToThreeDigits(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0", 1: "1", 0.012345: "0.0123", 4.5678: "4.57", 99.96: "100", 123456: "123,000", 1234567: "1,230,000", 0.5: "0.5", 1000: "1,000", 9999: "10,000",
	} {
		if got := Number(x); got != want {
			t.Errorf("%g is written %q, want %q", x, got, want)
		}
	}
	if got := Whole(1024); got != "1,024" {
		t.Errorf("1024 is written %q", got)
	}
}
