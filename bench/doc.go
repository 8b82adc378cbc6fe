// Package bench measures MQTT brokers: it plays publishers and subscribers against one that is
// already running, and reports what the broker delivered, lost, repeated and cost.
//
// # Rules
//
//   - The generator must be much cheaper per message than any broker, or the generator is what is
//     measured. One locked thread drives every connection through one epoll set; nothing on its
//     path allocates, formats, logs or opens a file. Go goroutines only watch it.
//   - An instrument must not share parts with what it judges: the few packets a client needs are
//     written here (wire.go), and no package of the broker is imported.
//   - Every delivery is checked: each publisher numbers its messages, and each subscriber accounts
//     for every number it should have seen.
//
// # Ownership
//
// Run lends everything to the load, which is loop-confined until it ends: connections, flows,
// subscribers, publishers, counters. Once in each Config.SampleInterval, and whenever a phase ends,
// the load hands a reading (a copy of its counters and a full histogram) to the collector's
// goroutine, which alone touches /proc, merges histograms and calls Config.OnSample.
//
// # Phases
//
// Connect, warm-up, measurement, drain. Rates, latency, CPU and memory describe the measurement; the
// accounting of deliveries describes every message sent from the first to the last; what connecting
// cost is described apart.
//
// The package needs Linux 5.11 or later.
package bench
