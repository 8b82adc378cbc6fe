package store

// Tx notes changes that belong together. It is lent by Begin until End, to one goroutine. All methods of a nil Tx do
// nothing. Byte slices and strings are kept: they must not change any more.
type Tx struct {
	store    *Store
	batch    *batch
	noted    bool // something to wait for
	deferred bool // or something that nobody waits for
	wait     bool // see AtOnce
	lazy     bool
}

// Session is what is saved of a session itself.
type Session struct {
	ClientID string
	Left     int64 // when its client left, in milliseconds of Unix time; 0: it is connected
}

// Queued is a message on its way to a session.
type Queued struct {
	Flow      uint8
	Seq       uint64 // orders the messages of a flow
	MessageID uint64 // of the message; 0 when Released
	QoS       byte   // of the delivery
	Retain    bool   // to be sent with RETAIN
	Sent      bool   // it was sent; noted when the broker stops only
	Doubtful  bool   // it may have been sent before a crash; noted when the broker stops only
	Released  bool   // PUBREC came: what is left is PUBREL and PUBCOMP
}

// End ends the change and returns the number of the batch that acknowledgements must wait for: 0 when there is no
// need, because nothing was noted or, with Interval, saving works and AtOnce was not called. Numbers never decrease.
func (t *Tx) End() (batch uint64) {
	if t == nil {
		return 0
	}
	s, b := t.store, t.batch
	switch {
	case t.noted:
		batch = t.Batch()
		s.announce(b, batch > 0)
	case t.deferred && !s.draining:
		s.announce(b, false)
	}
	s.mu.Unlock()
	return batch
}

// Batch returns the number of the batch that what is noted here will be saved in, if that must be waited for, else 0;
// see End.
func (t *Tx) Batch() uint64 {
	if t != nil && (t.wait || t.store.waits()) {
		return t.batch.number
	}
	return 0
}

// AtOnce has what is noted here saved at once, and waited for, as with Always.
func (t *Tx) AtOnce() {
	if t != nil {
		t.wait = true
	}
}

// Await has End return the batch that holds all that was noted until now, though nothing is noted here: what has been
// asked for is so already, but perhaps not on disk.
func (t *Tx) Await() {
	if t != nil {
		t.noted = true
	}
}

// Lazy has retained messages that are noted here be saved when there is nothing else to save, or with later changes:
// they are acknowledged to nobody. They may then be on disk after what is noted later.
func (t *Tx) Lazy() {
	if t != nil {
		t.lazy = true
	}
}

// note returns the batch in which a change is to be noted, nil when nothing is kept.
func (t *Tx) note() *batch {
	if t == nil {
		return nil
	}
	t.noted = true
	return t.batch
}

// PutSession notes a session, first a new one, else a changed one. Identifiers are never used again, in the life of the
// process.
func (t *Tx) PutSession(id uint64, session Session, first bool) {
	if b := t.note(); b != nil {
		b.putSession(id, session, first)
	}
}

// DeleteSession notes the end of a session, of its subscriptions, of the Packet Identifiers received and of what is
// queued for it. The messages are the caller's to delete.
func (t *Tx) DeleteSession(id uint64) {
	if b := t.note(); b != nil {
		b.deleteSession(id)
	}
}

// PutSubscription notes a subscription and its granted QoS; first: the session had none with this filter.
func (t *Tx) PutSubscription(id uint64, filter string, qos byte, first bool) {
	if b := t.note(); b != nil {
		b.putSubscription(id, filter, qos, first)
	}
}

// DeleteSubscription notes that a subscription ended.
func (t *Tx) DeleteSubscription(id uint64, filter string) {
	if b := t.note(); b != nil {
		b.deleteSubscription(id, filter)
	}
}

// PutReceived notes the Packet Identifier of a QoS 2 PUBLISH that waits for PUBREL [MQTT-4.3.3-2]. Noting it again
// changes nothing, and makes End return the batch to wait for.
func (t *Tx) PutReceived(id uint64, packetID uint16) {
	if b := t.note(); b != nil {
		b.received(id, packetID, true)
	}
}

// DeleteReceived notes that PUBREL came.
func (t *Tx) DeleteReceived(id uint64, packetID uint16) {
	if b := t.note(); b != nil {
		b.received(id, packetID, false)
	}
}

// PutMessage notes a message, a whole PUBLISH packet, that is queued for one session or several. It is called once
// for a message; identifiers are never used again.
func (t *Tx) PutMessage(messageID uint64, packet []byte) {
	if b := t.note(); b != nil {
		b.putMessage(messageID, packet)
	}
}

// DeleteMessage notes that a message is queued for nobody any more.
func (t *Tx) DeleteMessage(messageID uint64) {
	if b := t.note(); b != nil {
		b.deleteMessage(messageID)
	}
}

// PutQueued notes a message that is queued for a session, with Released false, and later, with Released true, that
// its PUBREC came. The pair of q.Flow and q.Seq is never used again in the session, in the life of the
// process.
func (t *Tx) PutQueued(id uint64, q Queued) {
	if b := t.note(); b != nil {
		b.putQueued(id, q)
	}
}

// DeleteQueued notes that a message is not queued for the session any more.
func (t *Tx) DeleteQueued(id uint64, flow uint8, seq uint64) {
	if b := t.note(); b != nil {
		b.deleteQueued(id, flow, seq)
	}
}

// PutRetained notes the retained message of a topic: a whole PUBLISH packet. number stands for the topic as long as it
// has one, from first, when it had none before; a number is never used again, in the life of the process.
func (t *Tx) PutRetained(number uint64, packet []byte, first bool) {
	if t == nil {
		return
	}
	t.batch.putRetained(number, packet, first, t.lazy)
	t.deferred = true
	t.noted = t.noted || !t.lazy
}

// DeleteRetained notes that the topic has no retained message any more.
func (t *Tx) DeleteRetained(number uint64) {
	if b := t.note(); b != nil {
		b.deleteRetained(number)
	}
}
