package httpapi

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

const (
	mediaJSON    = "application/json"
	mediaNDJSON  = "application/x-ndjson"
	mediaCSV     = "text/csv"
	mediaProblem = "application/problem+json"
	mediaHTML    = "text/html"
	mediaText    = "text/plain"
	mediaTar     = "application/x-tar"
	mediaSVG     = "image/svg+xml"
)

// checkMedia refuses a body whose media type is named and is not among those
// taken, or that is encoded or in another character set.
func checkMedia(h http.Header, taken []string) *Problem {
	if encoding := h.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return problem(UnsupportedMedia, "the content encoding %s is not taken", brief(encoding))
	}
	sent := h.Get("Content-Type")
	if sent == "" || sent == taken[0] {
		return nil
	}
	mediaType, params, err := mime.ParseMediaType(sent)
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return problem(UnsupportedMedia, "the character set %s is not taken, JSON is UTF-8", brief(charset))
	}
	if err == nil {
		for _, t := range taken {
			if mediaType == t {
				return nil
			}
		}
	}
	return problem(UnsupportedMedia, "%s is not taken: send the header Content-Type: %s",
		brief(sent), strings.Join(taken, " or "))
}

// negotiate chooses among the media types offered, by the client's quality
// values and, among equals, by our order. Empty: none is accepted.
func negotiate(accept []string, offered ...string) string {
	if len(accept) == 0 || len(accept) == 1 && (accept[0] == "*/*" || accept[0] == offered[0] || accept[0] == "") {
		return offered[0]
	}
	best, bestQuality := "", 0.0
	for _, o := range offered {
		if q := quality(accept, o); q > bestQuality {
			best, bestQuality = o, q
		}
	}
	return best
}

// quality is what the most specific range of the Accept header says of a type.
func quality(accept []string, mediaType string) float64 {
	family, _, _ := strings.Cut(mediaType, "/")
	q, specificity := 0.0, 0
	for _, header := range accept {
		for part := range strings.SplitSeq(header, ",") {
			name, params, _ := strings.Cut(part, ";")
			s := 0
			switch strings.ToLower(strings.TrimSpace(name)) {
			case mediaType:
				s = 3
			case family + "/*":
				s = 2
			case "*/*":
				s = 1
			}
			if s > specificity {
				q, specificity = qualityOf(params), s
			}
		}
	}
	return q
}

func qualityOf(params string) float64 {
	for param := range strings.SplitSeq(params, ";") {
		key, v, _ := strings.Cut(strings.TrimSpace(param), "=")
		if strings.EqualFold(key, "q") {
			q, err := strconv.ParseFloat(v, 64)
			if err != nil || !(q >= 0 && q <= 1) {
				return 0
			}
			return q
		}
	}
	return 1
}
