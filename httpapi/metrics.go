package httpapi

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts exchanges by the pattern of their route, never by name.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	panics   prometheus.Counter
}

// unmatched stands for the route of requests that have none.
const unmatched = "unmatched"

// routeMetrics is a route's part of metrics, with the lookups done.
type routeMetrics struct {
	requests *prometheus.CounterVec // by status
	ok, made prometheus.Counter     // 200 and 201, the ones that have to be fast
	seconds  prometheus.Observer
}

func newMetrics(a *API, registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bluerings_http_requests_total",
			Help: "Requests answered, by route, method and status.",
		}, []string{"route", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "bluerings_http_request_seconds",
			Help:    "Time from the header of a request to the end of its answer.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
		}, []string{"route", "method"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bluerings_http_panics_total",
			Help: "Requests whose handler panicked.",
		}),
	}
	if registerer == nil {
		return m, nil
	}
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "bluerings_http_waiting_requests",
		Help: "Requests that wait for coherence, finality or replicas.",
	}, func() float64 { return float64(len(a.waits)) })
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.panics, waiting} {
		if err := registerer.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) of(pattern, method string) routeMetrics {
	labels := prometheus.Labels{"route": pattern, "method": method}
	requests := m.requests.MustCurryWith(labels)
	return routeMetrics{
		requests: requests,
		ok:       requests.WithLabelValues("200"),
		made:     requests.WithLabelValues("201"),
		seconds:  m.seconds.With(labels),
	}
}

func (m *metrics) observe(x *exchange) {
	if x.route == nil {
		m.requests.WithLabelValues(unmatched, "", strconv.Itoa(x.status)).Inc()
		return
	}
	switch x.status {
	case 200:
		x.route.metrics.ok.Inc()
	case 201:
		x.route.metrics.made.Inc()
	default:
		x.route.metrics.requests.WithLabelValues(strconv.Itoa(x.status)).Inc()
	}
	x.route.metrics.seconds.Observe(time.Since(x.began).Seconds())
}
