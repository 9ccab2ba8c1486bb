package httpapi

import (
	"net/url"
	"slices"
	"strconv"
	"time"

	"bluerings/hlc"
	"bluerings/ring"
)

// parseQuery reads the query. Parameters that the route does not have are
// refused: a misspelt one must not give another answer than was asked for.
func (x *exchange) parseQuery() *Problem {
	raw := x.r.URL.RawQuery
	if raw == "" {
		return nil
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return problem(BadParameter, "%s", err)
	}
	for key, values := range query {
		switch {
		case !slices.Contains(x.route.params, key):
			return problem(BadParameter, "the parameter %s is not known here", brief(key)).in(brief(key))
		case len(values) > 1:
			return problem(BadParameter, "the parameter %s is given twice", key).in(key)
		}
	}
	x.query = query
	return nil
}

// time is a parameter that is a point in time; 0 where it is not given.
func (x *exchange) time(key string) (hlc.Timestamp, error) {
	if !x.query.Has(key) {
		return 0, nil
	}
	t, err := parseTime(x.query.Get(key))
	if err != nil {
		return 0, problem(BadTime, "%s", err).in(key)
	}
	return t, nil
}

// flag is a parameter that is true or false; false where it is not given.
func (x *exchange) flag(key string) (bool, error) {
	switch v := x.query.Get(key); v {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	case "":
		if x.query.Has(key) {
			return true, nil // as in ?final
		}
		return false, nil
	default:
		return false, problem(BadParameter, "%s has to be true or false", key).in(key)
	}
}

// duration is the parameter wait; fallback where it is not given.
func (x *exchange) duration(fallback time.Duration) (time.Duration, error) {
	if !x.query.Has("wait") {
		return min(fallback, x.api.limits.Wait), nil
	}
	d, err := parseWait(x.query.Get("wait"), x.api.limits.Wait)
	if err != nil {
		return 0, err
	}
	return d, nil
}

// limit is the parameter limit, from 1 to most; fallback where it is not given.
func (x *exchange) limit(fallback, most int) (int, error) {
	if !x.query.Has("limit") {
		return min(fallback, most), nil
	}
	n, err := strconv.Atoi(x.query.Get("limit"))
	if err != nil || n < 1 || n > most {
		return 0, problem(BadLimit, "limit has to be a whole number from 1 to %d", most).in("limit")
	}
	return n, nil
}

// coherence tells whether the request demands coherence, by header or query.
func (x *exchange) coherence() (bool, error) {
	values := x.r.Header["Require-Coherence"]
	if len(values) == 0 && x.query == nil {
		return false, nil
	}
	byQuery, err := x.flag("require_coherence")
	if err != nil {
		return false, err
	}
	for _, v := range values {
		switch v {
		case "true", "1":
			byQuery = true
		case "false", "0":
		default:
			return false, problem(BadRequest, "the header Require-Coherence has to be true or false").in("Require-Coherence")
		}
	}
	return byQuery, nil
}

// demand refuses the request when it demands coherence and there is none. It
// tells whether it does, for the node to check once more when it decides.
func (x *exchange) demand(v *verdict) (bool, error) {
	required, err := x.coherence()
	if err != nil {
		return false, err
	}
	if required && !v.Coherent {
		return true, ring.ErrNotCoherent
	}
	return required, nil
}

// changeParams are the parameters of every route that changes something.
var changeParams = []string{"replicas", "wait", "require_coherence"}
