package reactor

import (
	"encoding/json"

	"mqttd/session"
)

// The loss ledger: for every reader, and for all together, to the message,
//
//	matched = delivered + dropped, by reason + waiting
//
// A message is matched when it meets a subscription, of a client that is away, too. At QoS 0 it is delivered when the
// kernel's socket has taken all of it, above when the client has acknowledged it, and waiting in between. A reader's
// losses at QoS 0 are kept with its connection and touched only when there is one, those above with its outbox.

// Reason says why a message that matched was not delivered.
type Reason uint8

// The reasons, in the order in which they are reported.
const (
	// ReasonSlow: the reader was behind and its buffer full; -slow-policy says which messages went.
	ReasonSlow Reason = iota
	// ReasonTooLarge: the reader was behind, and the message alone is larger than its buffer.
	ReasonTooLarge
	// ReasonConflated: the reader was behind, and a newer message of the same topic took its place.
	ReasonConflated
	// ReasonCutOff: the connection ended before the message was sent.
	ReasonCutOff
	// ReasonMemory: the reader was behind, and the buffers of all clients together full.
	ReasonMemory
	// ReasonHandover: the reader's loop did not take messages of another loop in time.
	ReasonHandover

	// ReasonAbsent: the client is away, and the message, or the subscription, is of QoS 0.
	ReasonAbsent
	// ReasonQueueFull: a message above QoS 0, and as many as may wait for the client already.
	ReasonQueueFull
	// ReasonExpired: a message above QoS 0 for a client that stayed away until its session ended.
	ReasonExpired

	// Reasons is how many there are.
	Reasons
)

// String returns the reason's name in $SYS topics, metrics and the API.
func (r Reason) String() string {
	return [Reasons]string{"slow", "too_large", "conflated", "cut_off", "memory", "handover", "absent",
		"queue_full", "expired"}[r]
}

// Losses counts dropped messages by Reason.
type Losses [Reasons]uint64

// Total returns the sum over all reasons.
func (l Losses) Total() (n uint64) {
	for _, count := range l {
		n += count
	}
	return n
}

// lossesOf returns what a client has lost: at QoS 0 since it connected, but for what came while it was away, and
// above, since its session began, or the broker. Only who owns the session may call it.
func lossesOf(connection *Losses, s *session.Session) (all Losses) {
	if connection != nil {
		all = *connection
	}
	all.addSession(s.Missed.Load(), s.Outbox)
	return all
}

// addSession adds what a session lost, whose outbox may be nil. Any goroutine may call it.
func (l *Losses) addSession(missed uint64, o *session.Outbox) {
	l[ReasonAbsent] += missed
	if o != nil {
		book := o.Book()
		l[ReasonQueueFull] += book.Refused - book.MemoryFull
		l[ReasonMemory] += book.MemoryFull
		l[ReasonCutOff] += book.Ended
	}
}

// MarshalJSON writes an object with the reasons that are not zero.
func (l Losses) MarshalJSON() ([]byte, error) {
	byReason := make(map[string]uint64)
	for reason, n := range l {
		if n > 0 {
			byReason[Reason(reason).String()] = n
		}
	}
	return json.Marshal(byReason)
}

// lose counts messages that c does not get.
func (l *loop) lose(c *conn, reason Reason, messages uint64) {
	if messages == 0 {
		return
	}
	if c.losses == nil {
		c.losses = new(Losses)
	}
	c.losses[reason] += messages
	l.dropped[reason].add(messages)
}

// tally is what a loop counts per reader, taken into its counters once per turn.
type tally struct {
	matched                       uint64
	missed                        Losses
	delivered                     int64
	bytesSent                     int
	waitingMessages, waitingBytes int64
}

// account takes the tally into the counters.
func (l *loop) account() {
	t := &l.tally
	if *t == (tally{}) && l.congestedCount == l.congestedNow.load() {
		return
	}
	l.matched.add(t.matched)
	l.delivered.add(uint64(t.delivered))
	if t.missed != (Losses{}) {
		for reason, n := range t.missed {
			l.dropped[reason].add(n)
		}
	}
	l.bytesSent.add(uint64(t.bytesSent))
	l.waitingMessages.add(uint64(t.waitingMessages))
	l.waitingBytes.add(uint64(t.waitingBytes))
	l.congestedNow.add(l.congestedCount - l.congestedNow.load())
	*t = tally{}
}
