package main_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/prometheus/procfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// scale is a test with very many topics, and what it has measured. It may be used by the test's goroutine only.
type scale struct {
	t      *testing.T
	topics []string
	slices [][]int // numbers of topics, each once, in no order; one slice is published at a time
	rows   []*scaleRow
	notes  [][2]string
}

// scaleRow is a line of the table: something that went on beside a witness, in one or several parts.
type scaleRow struct {
	name       string
	messages   int
	took       time.Duration
	cpuSeconds float64         // of the broker
	latencies  []time.Duration // of the witness
	late       time.Duration   // the witness itself, at worst
}

// scaleBroker is a broker with an admin port.
type scaleBroker struct {
	*broker
	admin string   // port
	flags []string // given to start
}

func newScale(t *testing.T, topics int) *scale {
	s := &scale{t: t, topics: make([]string, topics)}
	for n := range s.topics {
		s.topics[n] = topicOf(n)
	}
	size := max(smallSlice, topics/manySlices)
	order := rand.New(rand.NewPCG(1, 2)).Perm(topics)
	s.slices = slices.Collect(slices.Chunk(order, size))
	s.note("load average at the start", loadAverage())
	return s
}

// Topics look like those of devices in halls of factories: four levels, or three for the state of a device itself,
// and 45 bytes on average.
var readings = [...]string{"", "/temperature", "/humidity-percent", "/battery-voltage", "/signal-strength"}

func topicOf(n int) string { return deviceOf(n) + readings[n%len(readings)] }

func deviceOf(n int) string { return fmt.Sprintf("%s/device-%06d", hallOf(n), n/len(readings)) }

func hallOf(n int) string {
	const factories, halls = 20, 100
	device := n / len(readings)
	return fmt.Sprintf("factory-%02d/hall-%03d", device%factories, device/factories%halls)
}

// start starts a broker that has room for all messages, and for what a reader of # gets live while it reads them.
func (s *scale) start(flags ...string) *scaleBroker {
	s.t.Helper()
	b := &scaleBroker{admin: freePort(s.t), flags: flags}
	command := []string{brokerProgram, "-admin", "127.0.0.1:" + b.admin, "-pprof", "-client-buffer", "64MiB",
		"-max-retained", strconv.Itoa(len(s.topics)), "-max-retained-bytes", strconv.Itoa(1024 * len(s.topics))}
	b.broker = startBrokerWith(s.t, "0", append(command, flags...)...)
	s.t.Logf("a broker %v has its profiles on port %s", flags, b.admin)
	return b
}

// row adds a line to the table.
func (s *scale) row(name string) *scaleRow {
	r := &scaleRow{name: name}
	s.rows = append(s.rows, r)
	return r
}

// note adds a line below the table.
func (s *scale) note(name, value string) { s.notes = append(s.notes, [2]string{name, value}) }

// during does something beside a witness, which must not lose anything, and adds what it took to a row.
func (s *scale) during(r *scaleRow, b *scaleBroker, do func()) {
	s.t.Helper()
	w := startWitness(s.t, b.broker)
	w.settle(s.t)
	before, begun := b.footprint(s.t), time.Now()
	do()
	r.took += time.Since(begun)
	r.cpuSeconds += b.footprint(s.t).cpuSeconds - before.cpuSeconds
	v := w.stop(s.t)
	assert.Empty(s.t, v.faults, "%s: what the witness noticed", r.name)
	assert.Zero(s.t, v.lost, "%s: the witness's messages that were lost", r.name)
	assert.Zero(s.t, v.disordered, "%s: the witness's messages that came twice or out of order", r.name)
	r.late = max(r.late, v.late)
	for _, reader := range w.readers {
		r.latencies = append(r.latencies, reader.latencies...)
	}
}

// residence is the memory of a process that is in RAM.
type residence struct{ anonymous, file int } // bytes

func (s *scale) resident(b *scaleBroker) residence {
	s.t.Helper()
	process, err := procfs.NewProc(b.cmd.Process.Pid)
	require.NoError(s.t, err)
	status, err := process.NewStatus()
	require.NoError(s.t, err)
	return residence{anonymous: int(status.RssAnon), file: int(status.RssFile)}
}

// perMessage tells what a message has cost besides topic and payload, since the broker was as before.
func (s *scale) perMessage(b *scaleBroker, before residence) string {
	s.t.Helper()
	now, n := s.resident(b), len(s.topics)
	text := retainedPayload * n
	for _, topic := range s.topics {
		text += len(topic)
	}
	return fmt.Sprintf("%d MiB resident, %d MiB more mapped from files; "+
		"%d bytes a message besides %d of topic and payload; the broker itself counts %d",
		now.anonymous>>20, now.file>>20, (now.anonymous-before.anonymous-text)/n, text/n,
		(metric(s.t, b.admin, "mqttd_retained_bytes")-text)/n)
}

// report writes the table.
func (s *scale) report() {
	s.t.Helper()
	s.note("load average at the end", loadAverage())
	var out strings.Builder
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "\nretained\tmessages\ttook\tper second\tCPU\twitness\tp50\tp99\tp99.9\tmax\tlate\t\n")
	for _, r := range s.rows {
		slices.Sort(r.latencies)
		at := func(q float64) time.Duration {
			if len(r.latencies) == 0 {
				return 0
			}
			return r.latencies[int(q*float64(len(r.latencies)-1))].Round(10 * time.Microsecond)
		}
		fmt.Fprintf(table, "%s\t%d\t%.2fs\t%.0f\t%.2fs\t%d\t%v\t%v\t%v\t%v\t%v\t\n", r.name, r.messages, r.took.Seconds(),
			float64(r.messages)/max(r.took.Seconds(), 1e-3), r.cpuSeconds, len(r.latencies), at(.5), at(.99), at(.999), at(1),
			r.late.Round(10*time.Microsecond))
	}
	_ = table.Flush() // a Builder takes everything
	for _, note := range s.notes {
		fmt.Fprintf(&out, "%s: %s\n", note[0], note[1])
	}
	s.t.Log(out.String())
}

func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text))
}
