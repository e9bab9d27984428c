package telemetry

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// Set reports one value of a metric, with its labels' values in order.
type Set func(value float64, labels ...string)

// Gauge adds a metric whose values are asked for at each scrape. read must not
// block for long, and may be called at the same time as itself.
func (m *Metrics) Gauge(name, help string, labels []string, read func(Set)) {
	m.scraped(prometheus.GaugeValue, name, help, labels, read)
}

// Counter is Gauge for values that only grow.
func (m *Metrics) Counter(name, help string, labels []string, read func(Set)) {
	m.scraped(prometheus.CounterValue, name, help, labels, read)
}

func (m *Metrics) scraped(kind prometheus.ValueType, name, help string, labels []string, read func(Set)) {
	m.registry.MustRegister(scraped{prometheus.NewDesc(name, help, labels, nil), kind, read})
}

// scraped is a prometheus.Collector of one metric.
type scraped struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(Set)
}

func (s scraped) Describe(descs chan<- *prometheus.Desc) { descs <- s.desc }

func (s scraped) Collect(values chan<- prometheus.Metric) {
	s.read(func(value float64, labels ...string) {
		values <- prometheus.MustNewConstMetric(s.desc, s.kind, value, labels...)
	})
}

// Pools adds the metrics of connection pools, by the pool's name.
func (m *Metrics) Pools(pools map[string]*pgxpool.Pool) {
	each := func(read func(name string, stat *pgxpool.Stat, set Set)) func(Set) {
		return func(set Set) {
			for name, pool := range pools {
				read(name, pool.Stat(), set)
			}
		}
	}
	m.Gauge("daybook_pool_connections", "Connections of a Postgres pool.", []string{"pool", "state"}, each(func(name string, stat *pgxpool.Stat, set Set) {
		set(float64(stat.AcquiredConns()), name, "in_use")
		set(float64(stat.IdleConns()), name, "idle")
		set(float64(stat.ConstructingConns()), name, "connecting")
	}))
	m.Gauge("daybook_pool_max_connections", "Most connections that a Postgres pool may have.", []string{"pool"}, each(func(name string, stat *pgxpool.Stat, set Set) {
		set(float64(stat.MaxConns()), name)
	}))
	m.Counter("daybook_pool_acquires_total", "Connections taken from a Postgres pool: at once, after waiting, or given up.", []string{"pool", "outcome"}, each(func(name string, stat *pgxpool.Stat, set Set) {
		set(float64(stat.AcquireCount()-stat.EmptyAcquireCount()), name, "immediate")
		set(float64(stat.EmptyAcquireCount()), name, "waited")
		set(float64(stat.CanceledAcquireCount()), name, "canceled")
	}))
	m.Counter("daybook_pool_wait_seconds_total", "Time spent waiting for a connection of a Postgres pool.", []string{"pool"}, each(func(name string, stat *pgxpool.Stat, set Set) {
		set(stat.EmptyAcquireWaitTime().Seconds(), name)
	}))
}
