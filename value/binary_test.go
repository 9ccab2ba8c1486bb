package value

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"
)

// TestBinaryVectors reads testdata/binary.txt, which freezes the binary form: a
// difference there is a new format, not a new vector. Each line is a kind, the
// text and the bytes.
func TestBinaryVectors(t *testing.T) {
	file, err := os.Open("testdata/binary.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	vectors := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		vectors++
		k, err := ParseKind(fields[0])
		if err != nil {
			t.Fatal(err)
		}
		n := parse(t, k, fields[1])
		if got := hex.EncodeToString(n.AppendBinary(nil, k)); got != fields[2] {
			t.Errorf("%s %s is %s, the vector %s", k, fields[1], got, fields[2])
		}
		bin, err := hex.DecodeString(fields[2])
		if err != nil {
			t.Fatal(err)
		}
		back, rest, err := DecodeBinary(k, bin, Limits{})
		if err != nil || len(rest) != 0 || back.String(k) != fields[1] {
			t.Errorf("%s %s reads %s, %x, %v", k, fields[2], back.String(k), rest, err)
		}
		for cut := range bin {
			if _, _, err := DecodeBinary(k, bin[:cut], Limits{}); !errors.Is(err, ErrEncoding) {
				t.Errorf("%s %s cut to %d bytes: %v", k, fields[2], cut, err)
			}
		}
	}
	if vectors < 30 {
		t.Errorf("only %d vectors", vectors)
	}
}

func TestDecodeRefuses(t *testing.T) {
	wide := strings.Repeat("ff", 20)
	for _, c := range []struct {
		kind Kind
		hex  string
		why  error
	}{
		{Integer, "", ErrEncoding},
		{Integer, "80", ErrEncoding},
		{Integer, "8000", ErrEncoding},                  // zero in two bytes
		{Integer, "ff00", ErrEncoding},                  // leading zeros
		{Integer, wide, ErrEncoding},                    // no end
		{Integer, wide + "00", ErrEncoding},             // leading zeros, wide
		{Integer, strings.Repeat("ff", 4000), ErrRange}, // no end within the limits
		{Integer, strings.Repeat("80", 1<<20), ErrRange},
		{Decimal, "02", ErrEncoding},                     // no coefficient
		{Decimal, "0100", ErrEncoding},                   // 0.0
		{Decimal, "0114", ErrEncoding},                   // 1.0
		{Decimal, "0113", ErrEncoding},                   // -1.0
		{Decimal, "800002", ErrEncoding},                 // scale in two bytes
		{Decimal, "e90702", ErrRange},                    // scale 1001
		{Decimal, "ffffffffffffffffff0102", ErrRange},    // scale 2^64-1
		{Decimal, wide + "0102", ErrRange},               // wider scale
		{Decimal, "01808080b1ac8bafc7d715", ErrEncoding}, // 100000000000000000000 / 10
		{Rational, "02", ErrEncoding},                    // no denominator
		{Rational, "0001", ErrEncoding},                  // 0/2
		{Rational, "0401", ErrEncoding},                  // 2/2
		{Rational, "0c05", ErrEncoding},                  // 6/6
		{Rational, wide + "01" + wide + "01", ErrEncoding},
		{Rational, "02" + strings.Repeat("ff", 4000), ErrRange},
	} {
		src, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		if n, rest, err := DecodeBinary(c.kind, src, Limits{}); !errors.Is(err, c.why) || rest != nil {
			t.Errorf("DecodeBinary(%v, %.50s) = %v, %x, %v; want %v", c.kind, c.hex, n, rest, err, c.why)
		}
	}
}

func TestHostileLengthsAllocateLittle(t *testing.T) {
	src := bytes.Repeat([]byte{0xff}, 1<<20)
	allocated := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			if _, _, err := DecodeBinary(Integer, src, Limits{}); err == nil {
				b.Fatal("accepted")
			}
		}
	}).AllocedBytesPerOp()
	if allocated > 1024 {
		t.Errorf("refusing a megabyte allocates %d bytes", allocated)
	}
}
