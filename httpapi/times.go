package httpapi

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"bluerings/hlc"
)

// parseTime reads a point in time: RFC 3339, to the nanosecond, or
// milliseconds since 1970. Times before 1970 and after hlc.Latest are refused.
func parseTime(s string) (hlc.Timestamp, error) {
	if isDigits(s) {
		return fromMillis(s)
	}
	var t time.Time
	if len(s) > 64 || t.UnmarshalText([]byte(s)) != nil {
		return 0, fmt.Errorf("%s is neither RFC 3339 nor milliseconds since 1970", brief(s))
	}
	if t.Unix() < 0 || t.Unix() >= int64(hlc.Latest/1e9) {
		return 0, fmt.Errorf("%s is outside the years 1970 to 2261", brief(s))
	}
	return hlc.FromTime(t), nil
}

func fromMillis(s string) (hlc.Timestamp, error) {
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil || ms >= int64(hlc.Latest/1e6) {
		return 0, fmt.Errorf("%s milliseconds are beyond the year 2261", brief(s))
	}
	return max(1, hlc.Timestamp(ms)*1e6), nil
}

// parseExpire reads an expiry: a point in time, "never", or a duration from
// now. That it lies in the future is not checked.
func parseExpire(t token, now hlc.Timestamp) (hlc.Timestamp, error) {
	s := string(t.bytes)
	switch {
	case t.kind == number:
		if !isDigits(s) {
			return 0, fmt.Errorf("%s is not a whole number of milliseconds since 1970", brief(s))
		}
		return fromMillis(s)
	case s == "never":
		return hlc.Never, nil
	}
	d, err := parseDuration(s)
	if err == nil && !isDigits(s) {
		return now.Add(d), nil
	}
	if errors.Is(err, errTooLong) {
		return 0, err
	}
	at, err := parseTime(s)
	if err != nil {
		return 0, fmt.Errorf("%s is no time, no duration such as 720h or 30d, and not never", brief(s))
	}
	return at, nil
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

var errTooLong = errors.New("the duration is longer than 100 years")

const maxDuration = 100 * 365 * 24 * time.Hour

// parseDuration reads a duration of zero or more, up to 100 years, as
// time.ParseDuration does, with days allowed in front: 30d, 1d12h, 1.5h, 0.
func parseDuration(s string) (time.Duration, error) {
	if len(s) > 64 {
		return 0, fmt.Errorf("%s is not a duration", brief(s))
	}
	days, rest, found := strings.Cut(s, "d")
	if !found {
		days, rest = "0", s
	}
	if found && rest == "" {
		rest = "0"
	}
	if !isDigits(days) || strings.HasPrefix(rest, "+") {
		return 0, fmt.Errorf("%s is not a duration", brief(s))
	}
	n, err := strconv.ParseInt(days, 10, 64)
	if err != nil || n > int64(maxDuration/(24*time.Hour)) {
		return 0, errTooLong
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%s is not a duration", brief(s))
	}
	if d > maxDuration {
		return 0, errTooLong
	}
	if d += time.Duration(n) * 24 * time.Hour; d > maxDuration {
		return 0, errTooLong
	}
	return d, nil
}

// brief quotes a text from outside, cut to a length that an answer can repeat.
func brief(s string) string {
	if len(s) > 64 {
		return strconv.QuoteToASCII(s[:64]) + "…"
	}
	return strconv.QuoteToASCII(s)
}
