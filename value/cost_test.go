package value

import (
	"strings"
	"testing"
	"unsafe"
)

func TestNumberIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Number{}); size > 24 {
		t.Errorf("a Number takes %d bytes", size)
	}
}

// Results go here, so that the compiler keeps the work.
var (
	keptNumber Number
	keptInt    int
)

func TestSmallNumbersAllocateNothing(t *testing.T) {
	buf := make([]byte, 0, 64)
	for _, c := range []struct {
		kind Kind
		text string
		more string
	}{
		{Integer, "-1234567", "999999999999999999"},
		{Decimal, "-12.50", "0.0001"},
		{Decimal, "123456789.123456", "1"},
		{Rational, "42", "-7"},
	} {
		text, n, m := []byte(c.text), parse(t, c.kind, c.text), parse(t, c.kind, c.more)
		bin := n.AppendBinary(nil, c.kind)
		for name, work := range map[string]func(){
			"Parse bytes":  func() { keptNumber, _ = Parse(c.kind, text, DefaultLimits) },
			"Parse string": func() { keptNumber, _ = Parse(c.kind, c.text, DefaultLimits) },
			"Add":          func() { keptNumber = n.Add(c.kind, m) },
			"Sub":          func() { keptNumber = n.Sub(c.kind, m) },
			"Cmp":          func() { keptInt = n.Cmp(c.kind, m) },
			"AppendText":   func() { buf = n.AppendText(buf[:0], c.kind) },
			"AppendBinary": func() { buf = n.AppendBinary(buf[:0], c.kind) },
			"DecodeBinary": func() { keptNumber, _, _ = DecodeBinary(c.kind, bin, DefaultLimits) },
			"Digits":       func() { keptInt = n.Digits(c.kind) },
			"Compact": func() {
				coef, scale, _ := n.Compact()
				keptNumber = FromCompact(coef, scale)
			},
		} {
			if allocs := testing.AllocsPerRun(100, work); allocs != 0 {
				t.Errorf("%s of %v %s: %v allocations", name, c.kind, c.text, allocs)
			}
		}
	}
	third, sixth := parse(t, Rational, "1/3"), parse(t, Rational, "-1/6")
	if allocs := testing.AllocsPerRun(100, func() { keptNumber = third.Add(Rational, sixth) }); allocs != 0 {
		t.Errorf("adding small fractions: %v allocations", allocs)
	}
}

// sizes are numbers to measure with, as they come in practice and at the limits.
var sizes = []struct {
	name string
	kind Kind
	text string
}{
	{"integer/small", Integer, "-1234567"},
	{"integer/100digits", Integer, "-" + strings.Repeat("7", 100)},
	{"decimal/small", Decimal, "-12.50"},
	{"decimal/17digits", Decimal, "123456789012345.67"},
	{"decimal/20digits", Decimal, "123456789012345678.91"},
	{"decimal/100digits", Decimal, strings.Repeat("7", 50) + "." + strings.Repeat("7", 50)},
	{"decimal/1000digits", Decimal, strings.Repeat("7", 500) + "." + strings.Repeat("7", 500)},
	{"rational/small", Rational, "22/7"},
	{"rational/40digits", Rational, strings.Repeat("7", 40) + "/" + strings.Repeat("3", 39) + "1"},
}

func BenchmarkParse(b *testing.B) {
	for _, c := range sizes {
		b.Run(c.name, func(b *testing.B) {
			text := []byte(c.text)
			b.ReportAllocs()
			for b.Loop() {
				keptNumber, _ = Parse(c.kind, text, DefaultLimits)
			}
		})
	}
}

func BenchmarkParseRefuse(b *testing.B) {
	for name, text := range map[string]string{"NaN": "NaN", "exponent": "1e999999999", "megabyte": strings.Repeat("9", 1<<20)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				keptNumber, _ = Parse(Decimal, text, DefaultLimits)
			}
		})
	}
}

func BenchmarkAdd(b *testing.B) {
	for _, c := range sizes {
		b.Run(c.name, func(b *testing.B) {
			n := parse(b, c.kind, c.text)
			m := n.Add(c.kind, FromInt64(1))
			b.ReportAllocs()
			for b.Loop() {
				keptNumber = n.Add(c.kind, m)
			}
		})
	}
	b.Run("decimal/two scales", func(b *testing.B) {
		n, m := parse(b, Decimal, "12.5"), parse(b, Decimal, "0.0625")
		for b.Loop() {
			keptNumber = n.Add(Decimal, m)
		}
	})
}

func BenchmarkAppendText(b *testing.B) {
	for _, c := range sizes {
		b.Run(c.name, func(b *testing.B) {
			n, buf := parse(b, c.kind, c.text), make([]byte, 0, 2048)
			b.ReportAllocs()
			for b.Loop() {
				buf = n.AppendText(buf[:0], c.kind)
			}
		})
	}
}

func BenchmarkBinary(b *testing.B) {
	for _, c := range sizes {
		n, buf := parse(b, c.kind, c.text), make([]byte, 0, 2048)
		b.Run("encode/"+c.name, func(b *testing.B) {
			for b.Loop() {
				buf = n.AppendBinary(buf[:0], c.kind)
			}
		})
		src := n.AppendBinary(nil, c.kind)
		b.Run("decode/"+c.name, func(b *testing.B) {
			for b.Loop() {
				keptNumber, _, _ = DecodeBinary(c.kind, src, DefaultLimits)
			}
		})
	}
}
