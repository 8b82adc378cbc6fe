package soak

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"mqttd/bench"
)

// WriteTable writes the soak as text: the load, a line for each sixth, and the verdict.
func (s *Soak) WriteTable(w io.Writer) error {
	var b strings.Builder
	s.head(&b)
	s.sixths(&b)
	s.verdict(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *Soak) head(b *strings.Builder) {
	line := func(format string, args ...any) { fmt.Fprintf(b, format+"\n", args...) }
	m := s.Machine
	line("mqttbench %s, %s, %s, %s, %s", s.Version, s.StartedAt.UTC().Format("2006-01-02 15:04 MST"),
		m.Kernel, bench.Plural(m.CPUs, "CPU"), m.CPUModel)
	line("\nSoak of %s, %v", strings.TrimSpace(s.Peer.Title+" "+s.Peer.Version), s.Config.Duration)
	for _, sentence := range s.Config.Sentences() {
		line("  %s", sentence)
	}
	rates, generator := s.Peak.Throughput, s.Peak.Generator
	line("  That is %.0f %% of the peak: %s messages/s, %s deliveries/s in %v of a closed loop, window %d.", 100*s.Share,
		bench.Decimal(rates.MessagesPerSecond), bench.Whole(rates.DeliveriesPerSecond),
		s.Peak.Config.Duration, s.Peak.Config.Window)
	line("  At the peak the generator's thread was %.0f %% busy, and %.0f %% ready without a processor.",
		generator.ThreadPercent, generator.ThreadWaitPercent)
	if others := s.peakOthersPercent(); others > othersPercentMax {
		line("  WARNING: meanwhile other programs used %.0f %% of a core: on a quiet machine the peak is higher.", others)
	}
	line("")
}

// othersPercentMax is how much of a core other programs may use without being worth a word; chosen, an
// idle machine has a tenth of it.
const othersPercentMax = 20

// peakOthersPercent returns what neither the broker nor the generator used of a core.
func (s *Soak) peakOthersPercent() float64 {
	var others, all float64
	for _, sample := range s.Peak.Samples {
		if sample.Phase == bench.PhaseMeasure {
			others, all = others+sample.OthersCPUSeconds, all+sample.Seconds
		}
	}
	return 100 * others / max(all, 1e-9)
}

func (s *Soak) sixths(b *strings.Builder) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cells ...string) { fmt.Fprint(t, strings.Join(cells, "\t"), "\t\n") }
	row("sixth", "messages", "deliveries", "lost", "duplicates", "disorder", "p50 ms", "p99 ms", "p99.9 ms", "max ms",
		"RSS MiB", "descriptors", "threads", "CPU %", "others %")
	for i, x := range s.Sixths {
		row(slices.Concat([]string{
			fmt.Sprint(i + 1), bench.Thousands(x.Messages), bench.Thousands(x.Deliveries),
			bench.Thousands(x.Lost), bench.Thousands(x.Duplicated), bench.Thousands(x.OutOfOrder),
		}, latencies(x.Latency), []string{
			bench.Mebibytes(x.BrokerResidentBytesMax), bench.Thousands(x.BrokerDescriptorsMin),
			fmt.Sprint(x.BrokerThreadsMax), corePercent(x.BrokerCPUSeconds, x), corePercent(x.OthersCPUSeconds, x),
		})...)
	}
	if s.Run != nil {
		d := s.Run.Deliveries
		row(slices.Concat([]string{
			"all", bench.Thousands(d.MessagesSent), bench.Thousands(d.Received - d.Duplicated),
			bench.Thousands(d.Lost), bench.Thousands(d.Duplicated), bench.Thousands(d.OutOfOrder),
		}, latencies(s.Run.Latency))...)
	}
	_ = t.Flush() // to a strings.Builder
	b.WriteString("  all: warm-up and drain too, latency without the warm-up. RSS and threads: the most of a sixth's samples;\n" +
		"  descriptors: the least. CPU: the broker's, of a core; others: neither the broker's nor the generator's.\n")
}

func latencies(l bench.Latency) (cells []string) {
	for _, ns := range []int64{l.P50Ns, l.P99Ns, l.P999Ns, l.MaxNs} {
		cells = append(cells, bench.Milliseconds(ns))
	}
	return cells
}

func corePercent(seconds float64, of Sixth) string {
	return fmt.Sprintf("%.1f", 100*seconds/of.Seconds)
}

func (s *Soak) verdict(b *strings.Builder) {
	b.WriteString("\n")
	if s.Interrupted {
		b.WriteString("INTERRUPTED: no verdict\n")
		return
	}
	for _, d := range s.Demands {
		fmt.Fprintf(b, "%s  %-18s  %s\n", passOrFail(d.Met), d.Name, d.Text)
	}
	fmt.Fprintf(b, "\n%s\n", passOrFail(s.Passed()))
}

func passOrFail(ok bool) string {
	if ok {
		return "PASS"
	}
	return "FAIL"
}
