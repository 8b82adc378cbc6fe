// Package peer starts the brokers that a comparison puts side by side.
//
// # Rules
//
//   - Every peer gets the settings that are best for QoS 0 fan-out, and says which (Peer.Settings).
//     Only settings of the broker itself: no peer gets a runtime or a kernel tuned for it.
//   - A comparison is reproducible: versions that are built here are pinned, each with the same Go
//     toolchain as mqttd; others say their version.
//   - What is not installed is never left out silently: it is a Missing, with the remedy.
//   - No broker outlives the harness: each is killed by the kernel when the harness dies, however
//     that happens, and its process group with it when it ends.
//   - Brokers listen on 127.0.0.1 only, and leave nothing behind but what Options.Cache holds.
//
// # Ownership
//
// A Peer is immutable. A Broker belongs to who started it; its methods may be called from any
// goroutine. One goroutine with a locked thread per broker starts it and waits for it, because the
// kernel ties a child's death signal to the thread that started it.
//
// The package needs Linux, and imports nothing of the module.
package peer
