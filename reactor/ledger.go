package reactor

// The loss ledger: for every reader, and for all together, to the message,
//
//	matched = delivered + dropped, by reason + waiting
//
// A message is matched when it meets a subscription of a connected reader, delivered when the kernel's
// socket has taken all of it, and waiting in between. A reader's losses are kept with its connection and
// touched only when there is one.

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

	// Reasons is how many there are.
	Reasons
)

// String returns the reason's name in $SYS topics, metrics and the API.
func (r Reason) String() string {
	return [Reasons]string{"slow", "too_large", "conflated", "cut_off", "memory", "handover"}[r]
}

// Losses counts dropped messages by Reason.
type Losses [Reasons]uint64

// Total returns the sum over all reasons.
func (l *Losses) Total() (n uint64) {
	for _, count := range l {
		n += count
	}
	return n
}

// lose counts messages that c does not get.
func (l *loop) lose(c *conn, reason Reason, messages uint64) {
	if messages == 0 {
		return
	}
	if c.losses == nil {
		c.losses = new(Losses)
		l.losers = append(l.losers, c)
	}
	c.losses[reason] += messages
	l.dropped[reason].add(messages)
}
