package admin

import (
	"context"
	"net/http"
	"runtime"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"mqttd/reactor"
)

// metrics returns the handler of /metrics, with a registry of its own.
func (a *Admin) metrics() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		&collector{source: a.source, top: a.options.Top, version: a.options.Version},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorLog: errorLog(a.options.Log), MaxRequestsInFlight: 4})
}

// collector turns the broker's counters into metrics, at each scrape anew. It keeps nothing.
type collector struct {
	source  Source
	top     int
	version string
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("mqttd_"+name, help, labels, nil)
}

// metric is one without labels.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*reactor.Stats) float64
}

func gauge(name, help string, value func(*reactor.Stats) int) metric {
	return metric{describe(name, help), prometheus.GaugeValue,
		func(st *reactor.Stats) float64 { return float64(value(st)) }}
}

func total(name, help string, value func(*reactor.Stats) uint64) metric {
	return metric{describe(name, help), prometheus.CounterValue,
		func(st *reactor.Stats) float64 { return float64(value(st)) }}
}

// plain are the metrics without labels; immutable.
var plain = []metric{
	gauge("connections", "Open client sockets.", func(st *reactor.Stats) int { return st.Connections }),
	gauge("clients", "Connected clients.", func(st *reactor.Stats) int { return st.Clients }),
	gauge("sessions", "Sessions kept for clients that are away.", func(st *reactor.Stats) int { return st.Sessions }),
	gauge("subscriptions", "Subscriptions of all clients.", func(st *reactor.Stats) int { return st.Subscriptions }),
	gauge("retained_messages", "Retained messages.", func(st *reactor.Stats) int { return st.Retained }),
	gauge("retained_bytes", "Memory of the retained messages and the tree they hang on.",
		func(st *reactor.Stats) int { return st.RetainedBytes }),
	gauge("queue_messages", "Messages that wait for slow clients.",
		func(st *reactor.Stats) int { return st.WaitingMessages }),
	gauge("queue_bytes", "Bytes that wait for slow clients.", func(st *reactor.Stats) int { return st.WaitingBytes }),
	gauge("queue_memory_bytes", "Memory that what waits takes: what clients share counts once.",
		func(st *reactor.Stats) int { return st.BufferedBytes }),
	gauge("session_queue_messages", "QoS 1 and 2 messages that wait to be sent or acknowledged, for each client.",
		func(st *reactor.Stats) int { return st.QueuedMessages }),
	gauge("session_queue_memory_bytes", "Memory that these take: what clients share counts once.",
		func(st *reactor.Stats) int { return st.QueueBytes }),
	gauge("stored_messages", "QoS 1 and 2 messages that wait for some client: what clients share counts once.",
		func(st *reactor.Stats) int { return st.StoredMessages }),
	gauge("congested_connections", "Connections whose socket takes no more.",
		func(st *reactor.Stats) int { return st.Congested }),

	gauge("store_pending_changes", "Changes that are not on disk yet.",
		func(st *reactor.Stats) int { return st.Store.Pending }),
	gauge("store_pending_bytes", "Bytes of these.", func(st *reactor.Stats) int { return int(st.Store.PendingBytes) }),
	gauge("store_records", "Records on disk.", func(st *reactor.Stats) int { return int(st.Store.Records) }),
	gauge("store_file_bytes", "Size of the file in the data directory.",
		func(st *reactor.Stats) int { return int(st.Store.FileBytes) }),
	gauge("store_failing", "1 while nothing can be saved.", func(st *reactor.Stats) int {
		if st.Store.Failing {
			return 1
		}
		return 0
	}),
	gauge("store_last_commit_timestamp_seconds", "When changes were saved the last time; 0: never.",
		func(st *reactor.Stats) int {
			if st.Store.LastCommit.IsZero() {
				return 0
			}
			return int(st.Store.LastCommit.Unix())
		}),
	total("store_commits_total", "Transactions saved.", func(st *reactor.Stats) uint64 { return st.Store.Commits }),
	total("store_failures_total", "Transactions that could not be saved, and were tried again.",
		func(st *reactor.Stats) uint64 { return st.Store.Failures }),
	metric{describe("store_commit_seconds_total", "Time that saving took."), prometheus.CounterValue,
		func(st *reactor.Stats) float64 { return st.Store.CommitTime.Seconds() }},

	total("sockets_accepted_total", "Client sockets accepted.", func(st *reactor.Stats) uint64 { return st.Accepted }),
	total("accept_errors_total", "Failures to accept a client's socket, for want of descriptors for instance.",
		func(st *reactor.Stats) uint64 { return st.AcceptErrors }),
	total("takeovers_total", "Connections that took the Client Identifier of another one over.",
		func(st *reactor.Stats) uint64 { return st.Takeovers }),
	total("panics_total", "Bugs that the broker survived.", func(st *reactor.Stats) uint64 { return st.Panics }),
	total("packets_received_total", "MQTT packets received, those that broke a rule not counted.",
		func(st *reactor.Stats) uint64 { return st.PacketsReceived }),
	total("packets_sent_total", "MQTT packets sent.", func(st *reactor.Stats) uint64 { return st.PacketsSent }),
	total("connects_received_total", "CONNECT packets received.",
		func(st *reactor.Stats) uint64 { return st.ConnectsReceived }),
	total("publish_received_bytes_total", "Payload bytes of the PUBLISH packets received.",
		func(st *reactor.Stats) uint64 { return st.PublishBytesReceived }),
	total("publish_refused_total", "PUBLISH packets and Wills for a topic under $SYS: acknowledged and dropped.",
		func(st *reactor.Stats) uint64 { return st.PublishRefused }),
	total("bytes_received_total", "Bytes read from clients.",
		func(st *reactor.Stats) uint64 { return st.BytesReceived }),
	total("bytes_sent_total", "Bytes written to clients.", func(st *reactor.Stats) uint64 { return st.BytesSent }),
	total("handover_waits_total", "Times an event loop waited for another one to take messages.",
		func(st *reactor.Stats) uint64 { return st.HandoverWaits }),
	total("retained_refused_total", "Messages delivered but not retained: the store was full.",
		func(st *reactor.Stats) uint64 { return st.RetainedRefused }),
	total("filters_refused_total", "Topic Filters that SUBACK refused.",
		func(st *reactor.Stats) uint64 { return st.FiltersRefused }),
	total("route_cache_resets_total", "Times an event loop's cache of routes was full and emptied.",
		func(st *reactor.Stats) uint64 { return st.RouteCacheResets }),
}

// The metrics with labels; immutable.
var (
	connects = describe("connects_total", "CONNECT packets by how they were answered.", "result")
	refused  = describe("sockets_refused_total", "Client sockets closed on accept, by why.", "reason")
	closed   = describe("connections_closed_total", "Connections that the broker closed, by why.", "reason")
	received = describe("publish_received_total", "PUBLISH packets received.", "qos")
	sent     = describe("publish_sent_total", "PUBLISH packets sent; above QoS 0 those sent again, too.", "qos")
	ended    = describe("sessions_ended_total", "Sessions ended of clients that were away, by why.", "reason")

	matched = describe("deliveries_matched_total",
		"Messages that met a subscription, once per client: delivered, dropped or waiting.", "qos")
	delivered = describe("deliveries_total",
		"Messages delivered: handed to the kernel whole at QoS 0, acknowledged above.", "qos")
	dropped = describe("deliveries_dropped_total", "Messages matched and not delivered, by why.", "reason", "qos")

	loopBusy = describe("loop_busy_ratio",
		"Share of the last second in which an event loop had work; an estimate.", "loop")
	loopBusySeconds = describe("loop_busy_seconds_total",
		"Time in which an event loop had work; an estimate.", "loop")
	loopTurn = describe("loop_turn_seconds",
		"How long the last tick waited for the event loop's turn.", "loop")
	loopTurnMax = describe("loop_turn_max_seconds",
		"The longest that a tick of the last minute waited for its turn.", "loop")
	loopConnections = describe("loop_connections", "Open client sockets of an event loop.", "loop")

	fanout = describe("fanout_seconds",
		"From a message's arrival in a round to the round's last write, per event loop with 8 readers or more.")
	skew = describe("fanout_skew_seconds",
		"From the first write of a round to the last, per event loop with 8 readers or more.")

	topLost = describe("top_client_lost",
		"Messages lost by the clients that have lost the most.", "client_id")
	topWaiting = describe("top_client_waiting_bytes",
		"Bytes that wait for the clients for which the most wait.", "client_id")

	buildInfo = describe("build_info", "Always 1.", "version", "goversion")
)

// Describe lists what Collect may send.
func (c *collector) Describe(to chan<- *prometheus.Desc) {
	for _, m := range plain {
		to <- m.desc
	}
	for _, desc := range []*prometheus.Desc{connects, refused, closed, received, sent, ended, matched, delivered, dropped,
		loopBusy, loopBusySeconds,
		loopTurn, loopTurnMax, loopConnections, fanout, skew, topLost, topWaiting, buildInfo} {
		to <- desc
	}
}

// Collect is called at each scrape.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	st := c.source.Stats()
	for _, m := range plain {
		to <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(&st))
	}
	collectLabelled(to, &st)
	for _, l := range c.source.Loops() {
		collectLoop(to, &l)
	}
	latency, between := c.source.Fanout()
	to <- constHistogram(fanout, &latency)
	to <- constHistogram(skew, &between)
	to <- prometheus.MustNewConstMetric(buildInfo, prometheus.GaugeValue, 1, c.version, runtime.Version())
	c.collectTop(to)
}

func collectLabelled(to chan<- prometheus.Metric, st *reactor.Stats) {
	count := func(desc *prometheus.Desc, n uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), labels...)
	}
	count(connects, st.Connects, "accepted")
	count(connects, st.RefusedFull, "full")
	count(connects, st.ConnectsRefused-min(st.RefusedFull, st.ConnectsRefused), "refused") // read at two times
	count(refused, st.RefusedSockets, "too_many")
	count(refused, st.RefusedRate, "rate")
	count(closed, st.ConnectTimeouts, "connect_timeout")
	count(closed, st.KeepAliveTimeouts, "keep_alive_timeout")
	count(closed, st.ProtocolErrors, "protocol_error")
	count(closed, st.WillsRefused, "will_refused")
	count(closed, st.RepliesOverflow, "replies_unread")
	count(closed, st.SlowCuts, "slow")
	count(closed, st.StallCuts, "stalled")
	count(closed, st.MemoryCuts, "memory")
	for qos, n := range st.PublishReceived {
		count(received, n, strconv.Itoa(qos))
	}
	for qos, n := range st.PublishSent {
		count(sent, n, strconv.Itoa(qos))
	}
	count(ended, st.SessionsEvicted, "evicted")
	count(ended, st.SessionsExpired, "expired")
	for qos, book := range st.Books() {
		label := strconv.Itoa(qos)
		count(matched, book.Matched, label)
		count(delivered, book.Delivered, label)
		for reason, n := range book.Dropped {
			count(dropped, n, reactor.Reason(reason).String(), label)
		}
	}
}

func collectLoop(to chan<- prometheus.Metric, l *reactor.LoopStats) {
	label := strconv.Itoa(l.Index)
	to <- prometheus.MustNewConstMetric(loopBusy, prometheus.GaugeValue, l.Busy, label)
	to <- prometheus.MustNewConstMetric(loopBusySeconds, prometheus.CounterValue, l.BusyTotal.Seconds(), label)
	to <- prometheus.MustNewConstMetric(loopTurn, prometheus.GaugeValue, l.Turn.Seconds(), label)
	to <- prometheus.MustNewConstMetric(loopTurnMax, prometheus.GaugeValue, l.TurnMax.Seconds(), label)
	to <- prometheus.MustNewConstMetric(loopConnections, prometheus.GaugeValue, float64(l.Connections), label)
}

func constHistogram(desc *prometheus.Desc, h *reactor.Histogram) prometheus.Metric {
	buckets, below := make(map[float64]uint64, len(h.Buckets)), uint64(0)
	for _, b := range h.Buckets {
		below += b.Count
		buckets[b.Bound.Seconds()] = below
	}
	return prometheus.MustNewConstHistogram(desc, h.Count, h.Sum.Seconds(), buckets)
}

// collectTop sends the few series that are a client's. When a loop does not answer, those of its clients are
// missing, and the rest of the scrape is not.
func (c *collector) collectTop(to chan<- prometheus.Metric) {
	if c.top == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	byLoss, byWaiting, _ := c.source.Top(ctx, c.top)
	collectClients(to, topLost, byLoss, func(i *reactor.ClientInfo) float64 { return float64(i.Dropped.Total()) })
	collectClients(to, topWaiting, byWaiting, func(i *reactor.ClientInfo) float64 { return float64(i.WaitingBytes) })
}

// collectClients sends a series per client, the largest first. Of identifiers that look alike as labels only the
// first gets one: two equal series would make the scrape fail.
func collectClients(to chan<- prometheus.Metric, desc *prometheus.Desc, list []reactor.ClientInfo,
	value func(*reactor.ClientInfo) float64) {
	seen := map[string]bool{}
	for i := range list {
		if label := list[i].Label(); !seen[label] {
			seen[label] = true
			to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value(&list[i]), label)
		}
	}
}
