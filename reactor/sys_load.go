package reactor

import (
	"math"
	"strconv"
	"time"
)

// loads are moving averages, per minute, of what happened: exponential ones over 1, 5 and 15 minutes, as the load
// averages of Unix are and those of Mosquitto.
type loads struct {
	at       time.Duration // since the start, of the latest advance
	averages [len(loadSources)]loadAverage
}

type loadAverage struct {
	total     uint64 // at the latest advance
	perMinute [len(loadWindows)]float64
}

var loadSources = [...]struct {
	topic string
	total func(*Stats) uint64
}{
	{"messages/received", func(st *Stats) uint64 { return st.PacketsReceived }},
	{"messages/sent", func(st *Stats) uint64 { return st.PacketsSent }},
	{"publish/received", (*Stats).Publishes},
	{"publish/sent", (*Stats).PublishesSent},
	{"publish/dropped", func(st *Stats) uint64 { all := st.Total(); return all.Dropped.Total() }},
	{"bytes/received", func(st *Stats) uint64 { return st.BytesReceived }},
	{"bytes/sent", func(st *Stats) uint64 { return st.BytesSent }},
	{"sockets", func(st *Stats) uint64 { return st.Accepted + st.RefusedSockets }},
	{"connections", func(st *Stats) uint64 { return st.ConnectsReceived }},
}

var loadWindows = [...]struct {
	topic   string
	minutes float64
}{{"1min", 1}, {"5min", 5}, {"15min", 15}}

// advance takes in what the counters show at a time since the start.
func (l *loads) advance(st *Stats, at time.Duration) {
	minutes := (at - l.at).Minutes()
	if minutes <= 0 {
		return
	}
	l.at = at
	for i := range l.averages {
		a, total := &l.averages[i], loadSources[i].total(st)
		rate := float64(total-min(a.total, total)) / minutes // never backwards
		a.total = total
		for w, window := range loadWindows {
			a.perMinute[w] = rate + math.Exp(-minutes/window.minutes)*(a.perMinute[w]-rate)
		}
	}
}

// each visits the averages with their topics and as text.
func (l *loads) each(visit func(topic, payload string)) {
	for i := range l.averages {
		for w, window := range loadWindows {
			visit("load/"+loadSources[i].topic+"/"+window.topic,
				strconv.FormatFloat(l.averages[i].perMinute[w], 'f', 2, 64))
		}
	}
}
