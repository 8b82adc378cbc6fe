package bench

import (
	"fmt"
	"io"
	"strings"
)

// WriteTable writes the result as text for people.
func (r Result) WriteTable(w io.Writer) error {
	var t table
	r.head(&t)
	r.connections(&t)
	if r.Config.Publishers > 0 {
		r.throughput(&t)
		r.latency(&t)
		r.deliveries(&t)
	}
	r.broker(&t)
	r.generator(&t)
	for i, warning := range r.Warnings {
		if i == 0 {
			t.line("")
		}
		t.line("WARNING: %s", warning)
	}
	_, err := io.WriteString(w, t.text.String())
	return err
}

// table builds sections of rows: name, figure aligned to the right, unit.
type table struct{ text strings.Builder }

func (t *table) line(format string, args ...any) { fmt.Fprintf(&t.text, format+"\n", args...) }

func (t *table) section(title string) { t.line("\n%s", title) }

func (t *table) row(name, figure, unit string) {
	t.line("%s", strings.TrimRight(fmt.Sprintf("  %-26s %16s  %s", name, figure, unit), " "))
}

func (r Result) head(t *table) {
	c := r.Config
	name := "mqttbench " + c.Address()
	if c.Scenario != "" {
		name += ", scenario " + c.Scenario
	}
	t.line("%s", name)
	for _, sentence := range c.Sentences() {
		t.line("  %s", sentence)
	}
	t.line("  Measured for %.1f s, after %.1f s of warm-up.", r.Throughput.Seconds, c.Warmup.Seconds())
	if r.Interrupted {
		t.line("  INTERRUPTED: the figures cover what was measured until then")
	}
}

// Sentences describe the load in words: the clients and, when something is published, the messages
// and their pace.
func (c Config) Sentences() []string {
	if c.Publishers > 0 {
		return []string{c.clients(), c.messages(), c.pace()}
	}
	return []string{c.clients()}
}

func (c Config) clients() string {
	switch {
	case c.Publishers == 0 && c.Subscribers == 0:
		return "No clients: the broker is alone."
	case c.Publishers == 0:
		filter := c.Filter
		if filter == "" {
			filter = c.Topic
		}
		return fmt.Sprintf("%s of %s, connected %d at a time; nothing is published.", Plural(c.Subscribers, "subscriber"), filter, c.Connects)
	case c.Subscribers == 0:
		return fmt.Sprintf("%s, no subscriber, on %s.", Plural(c.Publishers, "publisher"), c.topics())
	}
	s := fmt.Sprintf("%s and %s on %s.", Plural(c.Publishers, "publisher"), Plural(c.Subscribers, "subscriber"), c.topics())
	if c.Filter != "" {
		s += fmt.Sprintf(" Each subscribes to %s.", c.Filter)
	}
	return s
}

func (c Config) topics() string {
	switch own := strings.Contains(c.Topic, publisherPattern); {
	case c.Topics > 1 && own:
		return fmt.Sprintf("%s for each publisher, %s", Plural(c.Topics, "topic"), c.Topic)
	case c.Topics > 1:
		return fmt.Sprintf("%s, %s", Plural(c.Topics, "topic"), c.Topic)
	case own:
		return fmt.Sprintf("one topic for each publisher, %s", c.Topic)
	}
	return "one topic, " + c.Topic
}

func (c Config) messages() string {
	s := fmt.Sprintf("Payload %s, QoS %d.", Plural(c.PayloadBytes, "byte"), c.QoS)
	if c.ConnectPerMessage {
		s += " Publishers connect anew for each message."
	}
	if c.Persistent {
		s += " Subscribers have persistent sessions."
	}
	return s
}

func (c Config) pace() string {
	if c.Open() {
		return fmt.Sprintf("Open loop: %s messages/s over all publishers, whatever the broker does; no window.", Decimal(c.RatePerSecond))
	}
	return fmt.Sprintf("Closed loop: a window of %s outstanding over all publishers.", Plural(c.Window, "message"))
}

func (r Result) connections(t *table) {
	c := r.Connections
	if c.Opened == 0 {
		return
	}
	t.section("Connections, opened before the load")
	t.row("opened", Thousands(c.Opened), "")
	t.row("rate", Whole(c.PerSecond), "/s")
	t.row("p50", Milliseconds(c.Latency.P50Ns), "ms, from connect to the last acknowledgement")
	t.row("p99", Milliseconds(c.Latency.P99Ns), "ms")
	if r.Broker != nil {
		t.row("broker's CPU for each", fmt.Sprintf("%.1f", c.BrokerCPUSeconds/float64(c.Opened)*1e6), "µs")
	}
	if r.Broker != nil && r.Config.Publishers == 0 {
		t.row("broker's memory for each", Whole(c.ResidentBytesEach), "bytes")
	}
}

func (r Result) throughput(t *table) {
	t.section("Throughput")
	t.row("messages sent", Whole(r.Throughput.MessagesPerSecond), "/s")
	t.row("deliveries", Whole(r.Throughput.DeliveriesPerSecond), "/s")
	t.row("received", fmt.Sprintf("%.1f", r.Throughput.BytesPerSecond/1e6), "MB/s")
}

func (r Result) latency(t *table) {
	if r.Config.Open() {
		t.section("Latency, from the intended send time")
	} else {
		t.section("Latency")
	}
	if r.Latency.Count == 0 {
		t.row("unknown", "-", "no message sent within the measurement arrived")
		return
	}
	t.row("p50", Milliseconds(r.Latency.P50Ns), "ms")
	t.row("p99", Milliseconds(r.Latency.P99Ns), "ms")
	t.row("p99.9", Milliseconds(r.Latency.P999Ns), "ms")
	t.row("max", Milliseconds(r.Latency.MaxNs), "ms")
}

func (r Result) deliveries(t *table) {
	d := r.Deliveries
	t.section("Deliveries, warm-up included")
	t.row("messages sent", Thousands(d.MessagesSent), "")
	if d.MessagesUnsent > 0 {
		t.row("messages not sent in time", Thousands(d.MessagesUnsent), "")
	}
	t.row("expected", Thousands(d.Expected), "")
	t.row("received", Thousands(d.Received), "")
	if d.Unacknowledged > 0 {
		t.row("messages not acknowledged", Thousands(d.Unacknowledged), "")
	}
	t.row("lost", Thousands(d.Lost), share(d.Lost, d.Expected))
	t.row("duplicated", Thousands(d.Duplicated), share(d.Duplicated, d.Expected))
	t.row("out of order", Thousands(d.OutOfOrder), share(d.OutOfOrder, d.Expected))
	if w := d.Worst; w != nil {
		t.row("worst: subscriber", fmt.Sprint(w.Subscriber), fmt.Sprintf("%s lost, %s duplicated, %s out of order",
			Thousands(w.Lost), Thousands(w.Duplicated), Thousands(w.OutOfOrder)))
	}
}

// share returns a part in percent, or "" when there is none.
func share(part, of uint64) string {
	const percentMin = 0.0001
	if part == 0 || of == 0 {
		return ""
	}
	if percent := 100 * float64(part) / float64(of); percent >= percentMin {
		return fmt.Sprintf("%.4f %%", percent)
	}
	return fmt.Sprintf("< %.4f %%", percentMin)
}

func (r Result) broker(t *table) {
	if r.Broker == nil {
		t.section("Broker: not measured, " + r.BrokerUnknown)
		return
	}
	t.section(fmt.Sprintf("Broker: %s, process %d", r.Broker.Name, r.Broker.PID))
	t.usage(*r.Broker)
	t.row("context switches", Thousands(r.Broker.ContextSwitches), "")
	t.row("resident memory", Mebibytes(r.Broker.ResidentBytes), "MiB, at most "+Mebibytes(r.Broker.ResidentBytesMax))
}

func (r Result) generator(t *table) {
	t.section("Generator")
	t.usage(r.Generator)
}

func (t *table) usage(u Usage) {
	t.row("CPU", fmt.Sprintf("%.2f", u.CPUSeconds), fmt.Sprintf("s, %.1f %% of a core", u.CorePercent))
	if u.CPUSecondsPerMillion > 0 {
		t.row("CPU per million deliveries", fmt.Sprintf("%.3f", u.CPUSecondsPerMillion), "s")
	}
}
