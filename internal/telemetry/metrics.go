package telemetry

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Outcomes of what is counted, besides the kinds of refusals.
const (
	OutcomeOK       = "ok"
	OutcomeConflict = "conflict"
	OutcomeError    = "error"
)

// Metrics are the numbers of one process. Make them with NewMetrics; all methods
// may be called at the same time.
type Metrics struct {
	registry *prometheus.Registry

	requests        *prometheus.CounterVec
	requestSeconds  *prometheus.HistogramVec
	requestsRunning prometheus.Gauge
	commands        *prometheus.CounterVec
	commandSeconds  *prometheus.HistogramVec
	events          *prometheus.CounterVec
	conflicts       *prometheus.CounterVec
	calls           *prometheus.CounterVec
	callSeconds     *prometheus.HistogramVec
	handled         *prometheus.CounterVec
	batches         *prometheus.CounterVec
	batchSeconds    *prometheus.HistogramVec
	mails           *prometheus.CounterVec
	chores          *prometheus.CounterVec
	choreRuns       *prometheus.CounterVec
}

// Bounds of histograms, in seconds. A request with a password hash takes some
// tens of milliseconds, a round trip to a store some hundreds of microseconds.
var (
	requestBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15}
	callBuckets    = []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5}
)

// NewMetrics returns metrics in a registry of their own, together with those of
// the Go runtime and the process. version becomes a label of daybook_build_info.
func NewMetrics(version string) *Metrics {
	m := &Metrics{
		registry:        prometheus.NewRegistry(),
		requests:        counter("daybook_http_requests_total", "Requests answered, by route template.", "method", "route", "status"),
		requestSeconds:  histogram("daybook_http_request_duration_seconds", "Time from a request's head to the end of its answer.", requestBuckets, "method", "route"),
		requestsRunning: prometheus.NewGauge(prometheus.GaugeOpts{Name: "daybook_http_requests_in_flight", Help: "Requests being answered."}),
		commands:        counter("daybook_commands_total", "Commands run, by outcome: ok, a kind of refusal, or error.", "command", "outcome"),
		commandSeconds:  histogram("daybook_command_duration_seconds", "Time of a command with all of its repetitions.", requestBuckets, "command"),
		events:          counter("daybook_events_appended_total", "Events appended by commands of this process.", "event"),
		conflicts:       counter("daybook_append_conflicts_total", "Appends refused because the stream was not at the expected revision.", "command"),
		calls:           counter("daybook_eventstore_calls_total", "Round trips to the event store; each repetition of a call is one.", "operation", "outcome"),
		callSeconds:     histogram("daybook_eventstore_call_duration_seconds", "Time of a round trip to the event store.", callBuckets, "operation"),
		handled:         counter("daybook_consumer_events_total", "Events that a consumer has handled.", "consumer"),
		batches:         counter("daybook_consumer_batches_total", "Messages given to a consumer; error: it was nacked and comes again.", "consumer", "outcome"),
		batchSeconds:    histogram("daybook_consumer_batch_duration_seconds", "Time to handle a message of a consumer.", callBuckets, "consumer"),
		mails:           counter("daybook_mails_total", "Tries to send a mail: sent, skipped, failed for good, or retried.", "mail", "outcome"),
		chores:          counter("daybook_housekeeping_done_total", "Things that housekeeping removed or drove to an end.", "task"),
		choreRuns:       counter("daybook_housekeeping_runs_total", "Runs of housekeeping's tasks; after an error the task comes again.", "task", "outcome"),
	}
	m.registry.MustRegister(
		m.requests, m.requestSeconds, m.requestsRunning, m.commands, m.commandSeconds, m.events, m.conflicts,
		m.calls, m.callSeconds, m.handled, m.batches, m.batchSeconds, m.mails, m.chores, m.choreRuns,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.Gauge("daybook_build_info", "Always 1; the label names the build.", []string{"version"}, func(set Set) { set(1, version) })
	return m
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}

// Handler answers scrapes, in the text formats of Prometheus and OpenMetrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry, MaxRequestsInFlight: 4})
}

// Command counts a command and the time it took. outcome is OutcomeOK,
// OutcomeError or the name of a kind of refusal.
func (m *Metrics) Command(command, outcome string, took time.Duration) {
	m.commands.WithLabelValues(command, outcome).Inc()
	m.commandSeconds.WithLabelValues(command).Observe(took.Seconds())
}

// Appended counts an event by its type.
func (m *Metrics) Appended(event string) { m.events.WithLabelValues(event).Inc() }

// Conflict counts an append of a command that met another one.
func (m *Metrics) Conflict(command string) { m.conflicts.WithLabelValues(command).Inc() }

// StoreCall counts a round trip to the event store.
func (m *Metrics) StoreCall(operation, outcome string, took time.Duration) {
	m.calls.WithLabelValues(operation, outcome).Inc()
	m.callSeconds.WithLabelValues(operation).Observe(took.Seconds())
}

// Handled counts a message that a consumer has handled, or has failed to.
func (m *Metrics) Handled(consumer string, events int, took time.Duration, err error) {
	outcome := OutcomeOK
	if err != nil {
		outcome, events = OutcomeError, 0
	}
	m.handled.WithLabelValues(consumer).Add(float64(events))
	m.batches.WithLabelValues(consumer, outcome).Inc()
	m.batchSeconds.WithLabelValues(consumer).Observe(took.Seconds())
}

// Mail counts a try to send a mail.
func (m *Metrics) Mail(mail, outcome string) { m.mails.WithLabelValues(mail, outcome).Inc() }

// Housekept counts a run of a task of housekeeping.
func (m *Metrics) Housekept(task string, done int, _ time.Duration, err error) {
	outcome := OutcomeOK
	if err != nil {
		outcome = OutcomeError
	}
	m.chores.WithLabelValues(task).Add(float64(done))
	m.choreRuns.WithLabelValues(task, outcome).Inc()
}
