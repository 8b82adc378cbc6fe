package reactor

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Limits of what is told about single clients. (chosen)
const (
	sysTop        = 10    // clients in top/loss and in top/waiting
	lossTopicsMax = 1_000 // clients with a topic of their own: those with most losses

	surveyBatch = 512         // clients that a loop is asked about in one turn
	surveyWait  = time.Second // until a loop that does not answer is left out
)

// lossValues returns the totals of the loss ledger.
func lossValues(st *Stats) []sysValue {
	number := func(topic string, n uint64) sysValue {
		return sysValue{sysTopic("mqttd", topic), strconv.FormatUint(n, 10)}
	}
	values := []sysValue{
		number("matched", st.Matched),
		number("delivered", st.Delivered),
		number("waiting/messages", uint64(st.WaitingMessages)),
		number("waiting/bytes", uint64(st.WaitingBytes)),
		number("congested", uint64(st.Congested)),
	}
	for reason, n := range st.Dropped {
		values = append(values, number("loss/"+Reason(reason).String(), n))
	}
	return values
}

// clientReport is what a loop tells about one of its clients.
type clientReport struct {
	clientID        string
	losses          Losses
	waitingMessages uint64
	waitingBytes    int
}

// survey is what the loops told about clients that lost something or for which something waits.
type survey struct {
	losing   ranking // by messages lost
	waiting  ranking // by bytes waiting
	complete bool    // every loop has answered
}

// survey asks the loops, a few clients at a time. It asks nothing as long as nothing was lost and nothing waits.
func (t *sysTree) survey(st *Stats) *survey {
	s := &survey{
		losing:   ranking{max: lossTopicsMax, weight: func(r *clientReport) uint64 { return r.losses.Total() }},
		waiting:  ranking{max: sysTop, weight: func(r *clientReport) uint64 { return uint64(r.waitingBytes) }},
		complete: true,
	}
	if st.Dropped.Total() == 0 && st.WaitingMessages == 0 {
		return s
	}
	silent := make([]bool, len(t.server.loops))
	ask := func(l *loop, conns []*conn) {
		if silent[l.index] || len(conns) == 0 {
			return
		}
		reports, ok := t.ask(l, conns)
		silent[l.index], s.complete = !ok, s.complete && ok
		for _, r := range reports {
			s.losing.add(r)
			s.waiting.add(r)
		}
	}
	batches := make([][]*conn, len(t.server.loops))
	for c := range t.server.table.All() {
		batch := &batches[c.loop.index]
		if *batch = append(*batch, c); len(*batch) == surveyBatch {
			ask(c.loop, *batch)
			*batch = nil // the loop may still read it
		}
	}
	for i, batch := range batches {
		ask(t.server.loops[i], batch)
	}
	return s
}

// ask asks a loop about clients of its own. ok is false when it did not answer in time.
func (t *sysTree) ask(l *loop, conns []*conn) (reports []clientReport, ok bool) {
	answer := make(chan []clientReport, 1)
	l.post(letter{kind: letterCall, call: func() { answer <- reportsOf(conns) }})
	timeout := time.NewTimer(surveyWait)
	defer timeout.Stop()
	select {
	case reports = <-answer:
		return reports, true
	case <-timeout.C:
	case <-t.server.stopped:
	}
	return nil, false
}

// reportsOf tells about those clients that lost something or for which something waits. It runs on their loop.
func reportsOf(conns []*conn) (reports []clientReport) {
	for _, c := range conns {
		if !c.live() || c.losses == nil && c.backlog.messages == 0 {
			continue
		}
		r := clientReport{clientID: c.clientID(), waitingMessages: c.backlog.messages, waitingBytes: c.backlog.bytes}
		if c.losses != nil {
			r.losses = *c.losses
		}
		reports = append(reports, r)
	}
	return reports
}

// ranking keeps the max reports of most weight.
type ranking struct {
	max    int
	weight func(*clientReport) uint64
	list   []clientReport // len(list) <= 2*max
}

// add takes a report in, unless its weight is 0.
func (r *ranking) add(report clientReport) {
	if r.weight(&report) == 0 {
		return
	}
	if r.list = append(r.list, report); len(r.list) == 2*r.max {
		r.best(r.max)
	}
}

// best forgets all but the max reports of most weight and returns the n first of them, the heaviest first.
func (r *ranking) best(n int) []clientReport {
	slices.SortFunc(r.list, func(a, b clientReport) int {
		return cmp.Or(cmp.Compare(r.weight(&b), r.weight(&a)), strings.Compare(a.clientID, b.clientID))
	})
	r.list = r.list[:min(len(r.list), r.max)]
	return r.list[:min(len(r.list), n)]
}

// clientLoss and clientWaiting are written as JSON.
type clientLoss struct {
	ClientID string            `json:"client_id"`
	Dropped  map[string]uint64 `json:"dropped"` // by reason, none zero
	Lost     uint64            `json:"lost"`
}

type clientWaiting struct {
	ClientID string  `json:"client_id"`
	Waiting  waiting `json:"waiting"`
}

type waiting struct {
	Messages uint64 `json:"messages"`
	Bytes    int    `json:"bytes"`
}

func (r *clientReport) loss() clientLoss {
	dropped := make(map[string]uint64)
	for reason, n := range r.losses {
		if n > 0 {
			dropped[Reason(reason).String()] = n
		}
	}
	return clientLoss{ClientID: r.clientID, Dropped: dropped, Lost: r.losses.Total()}
}

// values returns what is published about single clients.
func (s *survey) values() []sysValue {
	topLoss, topWaiting := []clientLoss{}, []clientWaiting{}
	for _, r := range s.losing.best(sysTop) {
		topLoss = append(topLoss, r.loss())
	}
	for _, r := range s.waiting.best(sysTop) {
		topWaiting = append(topWaiting, clientWaiting{r.clientID, waiting{r.waitingMessages, r.waitingBytes}})
	}
	values := []sysValue{
		{sysTopic("mqttd/top/loss"), jsonText(topLoss)},
		{sysTopic("mqttd/top/waiting"), jsonText(topWaiting)},
	}
	for _, r := range s.losing.best(lossTopicsMax) {
		values = append(values, sysValue{sysTopic("mqttd/clients", levelOf(r.clientID), "loss"), jsonText(r.loss())})
	}
	return values
}

func jsonText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // no type here can fail
	}
	return string(text)
}

// levelOf writes a Client Identifier as one level of a topic: what would end the level, be a wildcard or a
// control character is percent-encoded, and the percent sign with it.
func levelOf(clientID string) string {
	var level strings.Builder
	for _, r := range clientID {
		if !strings.ContainsRune("/+#%", r) && !unicode.IsControl(r) {
			level.WriteRune(r)
			continue
		}
		for _, b := range []byte(string(r)) {
			fmt.Fprintf(&level, "%%%02X", b)
		}
	}
	return level.String()
}
