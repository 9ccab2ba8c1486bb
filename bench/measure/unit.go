package measure

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Unit says how a figure is written.
type Unit string

// The units.
const (
	PerSecond    Unit = "/s"
	Bytes        Unit = "B"
	BytesASecond Unit = "B/s"
	Seconds      Unit = "s"
	Milliseconds Unit = "ms"
	Nanoseconds  Unit = "ns"
	Percent      Unit = "%"
	Share        Unit = "share"
	Count        Unit = "count"
)

// Format writes a figure of this unit, to three digits.
func (u Unit) Format(x float64) string {
	text := Number(x)
	switch u {
	case Share, Count:
		return text
	case PerSecond, Percent, BytesASecond:
		if u == BytesASecond {
			return text + " B/s"
		}
		return text + string(u)
	}
	return text + " " + string(u)
}

// Number writes three significant digits, thousands apart: 0.0123, 4.57, 123,000.
func Number(x float64) string {
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	digits := 2 - int(math.Floor(math.Log10(math.Abs(x))))
	scale := math.Pow(10, float64(digits))
	rounded := math.Round(x*scale) / scale
	text := strconv.FormatFloat(rounded, 'f', max(0, digits), 64)
	whole, fraction, _ := strings.Cut(text, ".")
	whole = thousands(whole)
	if fraction = strings.TrimRight(fraction, "0"); fraction != "" {
		whole += "." + fraction
	}
	return whole
}

// Whole writes a number that is one, with all its digits.
func Whole(x float64) string { return thousands(strconv.FormatFloat(x, 'f', 0, 64)) }

func thousands(digits string) string {
	for at := len(digits) - 3; at > 0 && digits[at-1] != '-'; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// String writes a spread as its median and, where there were several rounds, [min to max].
func (s Spread) String() string {
	if s.Min == s.Max {
		return Number(s.Median)
	}
	return fmt.Sprintf("%s [%s to %s]", Number(s.Median), Number(s.Min), Number(s.Max))
}

// Title is the unit as the head of a column.
func (u Unit) Title() string {
	switch u {
	case PerSecond:
		return "per second"
	case Bytes:
		return "bytes"
	case BytesASecond:
		return "bytes a second"
	case Seconds:
		return "seconds"
	case Milliseconds:
		return "milliseconds"
	case Nanoseconds:
		return "nanoseconds"
	case Percent:
		return "%"
	default:
		return string(u)
	}
}
