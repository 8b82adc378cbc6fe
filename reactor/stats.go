package reactor

import (
	"sync/atomic"

	"mqttd/codec"
	"mqttd/session/store"
)

// Stats is a sum of the loops' counters and the acceptor's, taken while they run: each number is exact, the
// numbers together are not one instant. Totals are since the start.
type Stats struct {
	Connections   int // open sockets
	Clients       int // connected
	Sessions      int // kept for clients that are away
	Subscriptions int
	Retained      int // messages
	RetainedBytes int // of their packets, and of the tree they hang on

	Accepted          uint64 // sockets
	Connects          uint64 // CONNECT answered with CONNACK 0x00
	ConnectsRefused   uint64 // CONNECT answered with another code
	WillsRefused      uint64 // connections closed: the payload of their Will is too large
	RefusedFull       uint64 // of ConnectsRefused: no slot free
	RefusedSockets    uint64 // closed on accept: too many sockets, or shutting down
	RefusedRate       uint64 // closed on accept: too many new ones per second
	AcceptErrors      uint64 // accept failed, or no loop could take the socket
	ConnectTimeouts   uint64 // no complete CONNECT in time
	KeepAliveTimeouts uint64
	ProtocolErrors    uint64 // connections closed for a violation
	Takeovers         uint64
	Panics            uint64 // recovered; each one is a bug
	RepliesOverflow   uint64 // connections closed: replies not read

	PacketsReceived  uint64 // of any type, but those that broke a rule
	PacketsSent      uint64 // of any type
	ConnectsReceived uint64

	SessionsEvicted uint64 // of clients that were away longest, when there were too many
	SessionsExpired uint64 // of clients that were away for too long

	PublishReceived      [3]uint64 // by QoS
	PublishSent          [3]uint64 // by QoS; above 0 each time it is sent
	PublishBytesReceived uint64    // payloads
	PublishRefused       uint64    // PUBLISH packets and Wills with a topic under $SYS: acknowledged, and dropped

	HandoverWaits    uint64 // hand-overs that had to wait for the other loop
	RetainedRefused  uint64 // messages delivered but not retained: store full
	FiltersRefused   uint64 // SUBSCRIBE filters answered with 0x80
	RouteCacheResets uint64

	BytesReceived, BytesSent uint64

	// The loss ledger of QoS 0: Matched = Delivered + Dropped.Total() + WaitingMessages, once the loops rest.
	Matched, Delivered uint64
	Dropped            Losses
	WaitingMessages    int
	WaitingBytes       int // of them, of replies, and of what keeps the books
	BufferedBytes      int // memory that all this takes: what readers share counts once

	// The ledger of QoS 1 and 2, to be indexed with QoS - 1: what waits is in outboxes, see QueuedMessages.
	Above [2]Book

	QueuedMessages int // QoS 1 and 2 messages that wait to be sent or acknowledged, for each client
	StoredMessages int // the same, but what many clients wait for counts once
	QueueBytes     int // memory that these take, with what keeps the books

	// What is kept on disk. All zero without -data-dir.
	Store     store.Stats
	Congested int // connections whose socket takes no more

	SlowCuts   uint64 // connections closed by -slow-policy disconnect
	StallCuts  uint64 // connections closed: they took nothing for the stall timeout
	MemoryCuts uint64 // connections closed: the buffers of all clients were full, and theirs the largest
}

// Book is a part of the loss ledger: over both QoS 1 and 2, Matched = Delivered + Dropped.Total() + QueuedMessages.
type Book struct {
	Matched, Delivered uint64
	Dropped            Losses
}

// counter has one writer, its loop or the acceptor; anyone may load it.
type counter struct{ v atomic.Uint64 }

func (c *counter) add(n uint64) { c.v.Store(c.v.Load() + n) }
func (c *counter) load() uint64 { return c.v.Load() }

// counters are the loop's share of Stats.
type counters struct {
	accepted, connects, connectsRefused, refusedFull, refusedSockets counter
	connectTimeouts, keepAliveTimeouts, protocolErrors, takeovers    counter
	panics, repliesOverflow, willsRefused                            counter
	publishReceived, publishSent                                     [3]counter
	above                                                            [2]bookCounters // by QoS - 1
	publishBytesReceived, publishRefused                             counter
	handled                                                          [16]counter // packets but PUBLISH, by type
	matched, delivered, handoverWaits                                counter
	dropped                                                          [Reasons]counter
	waitingMessages, waitingBytes, congestedNow                      counter
	slowCuts, stallCuts, memoryCuts                                  counter
	retainedRefused, filtersRefused, routeCacheResets                counter
	bytesReceived, bytesSent                                         counter
}

// bookCounters are a loop's share of a Book.
type bookCounters struct {
	matched, delivered counter
	dropped            [Reasons]counter
}

// Stats returns the counters of all loops, summed. Any goroutine may call it.
func (s *Server) Stats() Stats {
	st := Stats{
		Clients:       s.table.Len(),
		Sessions:      s.absent.Len(),
		Subscriptions: s.router.Len(),
		Retained:      s.retained.Len(),
		RetainedBytes: s.retained.Bytes(),
		BufferedBytes: int(s.buffered.Load()),

		SessionsEvicted: s.sessionsEvicted.Load(),
		SessionsExpired: s.sessionsExpired.Load(),
		QueuedMessages:  s.queues.Entries(),
		StoredMessages:  s.queues.Messages(),
		QueueBytes:      s.queues.Bytes(),
		Store:           s.store.Stats(),
	}
	for qos := range st.Above {
		st.Above[qos].Matched = s.found[qos]
		for reason := range st.Above[qos].Dropped {
			st.Above[qos].Dropped[reason] = s.ended[qos][reason].Load()
		}
	}
	for _, l := range s.loops {
		st.Connections += int(l.sockets.Load())
		l.counters.addTo(&st)
	}
	s.acceptor.addTo(&st)
	return st
}

func (c *counters) addTo(st *Stats) {
	st.Accepted += c.accepted.load()
	st.Connects += c.connects.load()
	st.ConnectsRefused += c.connectsRefused.load()
	st.WillsRefused += c.willsRefused.load()
	st.RefusedFull += c.refusedFull.load()
	st.RefusedSockets += c.refusedSockets.load()
	st.ConnectTimeouts += c.connectTimeouts.load()
	st.KeepAliveTimeouts += c.keepAliveTimeouts.load()
	st.ProtocolErrors += c.protocolErrors.load()
	st.Takeovers += c.takeovers.load()
	st.Panics += c.panics.load()
	st.RepliesOverflow += c.repliesOverflow.load()
	for qos := range c.publishReceived {
		st.PublishReceived[qos] += c.publishReceived[qos].load()
		st.PublishSent[qos] += c.publishSent[qos].load()
	}
	for qos := range c.above {
		book, of := &st.Above[qos], &c.above[qos]
		book.Matched += of.matched.load()
		book.Delivered += of.delivered.load()
		for reason := range of.dropped {
			book.Dropped[reason] += of.dropped[reason].load()
		}
	}
	st.PublishSent[codec.QoS0] += c.delivered.load()
	st.PublishBytesReceived += c.publishBytesReceived.load()
	st.PublishRefused += c.publishRefused.load()
	c.addPackets(st)
	st.Matched += c.matched.load()
	st.Delivered += c.delivered.load()
	for reason := range c.dropped {
		st.Dropped[reason] += c.dropped[reason].load()
	}
	st.WaitingMessages += int(c.waitingMessages.load())
	st.WaitingBytes += int(c.waitingBytes.load())
	st.Congested += int(c.congestedNow.load())
	st.SlowCuts += c.slowCuts.load()
	st.StallCuts += c.stallCuts.load()
	st.MemoryCuts += c.memoryCuts.load()
	st.HandoverWaits += c.handoverWaits.load()
	st.RetainedRefused += c.retainedRefused.load()
	st.FiltersRefused += c.filtersRefused.load()
	st.RouteCacheResets += c.routeCacheResets.load()
	st.BytesReceived += c.bytesReceived.load()
	st.BytesSent += c.bytesSent.load()
}

// addPackets adds the packets of all types. Those sent are not counted one by one: the broker answers each
// packet but DISCONNECT and some of the acknowledgements with one packet, and what else it sends are messages.
func (c *counters) addPackets(st *Stats) {
	st.ConnectsReceived += c.handled[codec.CONNECT].load()
	for t := range c.handled {
		st.PacketsReceived += c.handled[t].load()
	}
	for qos := range c.publishReceived {
		st.PacketsReceived += c.publishReceived[qos].load()
	}
	st.PacketsSent += c.delivered.load() + c.publishSent[codec.QoS1].load() + c.publishSent[codec.QoS2].load() + c.connects.load() + c.connectsRefused.load()
	st.PacketsSent += c.publishReceived[codec.QoS1].load() + c.publishReceived[codec.QoS2].load()
	for _, t := range answeredTypes {
		st.PacketsSent += c.handled[t].load()
	}
}

// answeredTypes are the packets that are answered at once, PUBLISH and CONNECT apart.
var answeredTypes = [...]codec.PacketType{codec.SUBSCRIBE, codec.UNSUBSCRIBE, codec.PINGREQ, codec.PUBREC, codec.PUBREL}

// Publishes returns the PUBLISH packets received at any QoS.
func (st *Stats) Publishes() uint64 {
	return st.PublishReceived[codec.QoS0] + st.PublishReceived[codec.QoS1] + st.PublishReceived[codec.QoS2]
}

// Total returns the loss ledger of all QoS together: Matched = Delivered + Dropped.Total() + Waiting, once the loops
// rest.
func (st *Stats) Total() (all Book) {
	for _, book := range st.Books() {
		all.Matched += book.Matched
		all.Delivered += book.Delivered
		for reason, n := range book.Dropped {
			all.Dropped[reason] += n
		}
	}
	return all
}

// Books returns the loss ledger by QoS.
func (st *Stats) Books() [3]Book {
	return [3]Book{{Matched: st.Matched, Delivered: st.Delivered, Dropped: st.Dropped}, st.Above[0], st.Above[1]}
}

// PublishesSent returns the PUBLISH packets sent at any QoS.
func (st *Stats) PublishesSent() uint64 {
	return st.PublishSent[0] + st.PublishSent[1] + st.PublishSent[2]
}

// Waiting returns how many messages of any QoS wait.
func (st *Stats) Waiting() int { return st.WaitingMessages + st.QueuedMessages }

func (a *acceptor) addTo(st *Stats) {
	st.RefusedSockets += a.refusedSockets.load()
	st.RefusedRate += a.refusedRate.load()
	st.AcceptErrors += a.failed.Load()
}
