package reactor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"mqttd/codec"
)

// A step is over when everything that it brings about has arrived, or would have by now. That is
// known by a probe: each client subscribes to one topic of the history before anything else, and at
// the end of a step one client publishes to it.
//
// If the client that took the step is still connected, it publishes the probe, in the same write:
// what one publisher sends arrives in the order in which it was sent, at every reader. If its
// connection has ended, another client publishes the probe when the broker has given the Client
// Identifier free, for by then the Will is handed to every loop, and a loop delivers first what it
// was handed first. Whoever takes over publishes the probe after its CONNACK, which waits for the
// same.
//
// Retained messages may come after the probe, whenever the broker finds the time, filter by filter in
// the order of their subscriptions. So whoever subscribes also subscribes to a topic with a retained
// message that is there for all histories, and waits for it. What is sent above QoS 0 may also come after
// the probe: as much is awaited as the model says. What comes too much after all that is found in the next
// step.
//
// A client that acknowledges messages at once, or has asked for retained messages, ends the step with a
// PINGREQ: when that is answered its acknowledgements are known to the broker, and the retained messages
// have all come.

// historyRunner plays one history against a broker.
type historyRunner struct {
	server   *Server
	tag      string // in place of tagMark, like no other on this broker
	patience time.Duration

	model *historyModel
	wires map[*modelConn]*historyWire
	came  int // messages above QoS 0
	taken int // steps
	probe string
	buf   []byte
}

var historyTags atomic.Uint64

// runHistory plays the steps and then makes sure that the broker forgets them. The totals are those
// that the history adds to the broker's.
func runHistory(
	s *Server, steps []historyStep, patience time.Duration,
) (totals historyTotals, failedStep int, err error) {
	r := &historyRunner{
		server:   s,
		tag:      "<" + strconv.FormatUint(historyTags.Add(1), 36) + ">",
		patience: patience,
		model:    newHistoryModel(),
		wires:    map[*modelConn]*historyWire{},
	}
	defer r.abandon()
	for i := range steps {
		if err := r.take(&steps[i]); err != nil {
			return r.model.totals, i, err
		}
	}
	if err := r.conclude(); err != nil {
		return r.model.totals, len(steps), fmt.Errorf("after the last step: %w", err)
	}
	return r.model.totals, 0, nil
}

// conclude compares all that is retained with the model, clears it, has everyone disconnect, and has each
// session that is left come to its end: first its client gets all that waits for it.
func (r *historyRunner) conclude() error {
	if err := r.clear(); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(r.model.sessions)) {
		connect := func(clean bool) historyPacket {
			c := &historyConnect{name: "MQTT", level: 4, clean: clean, clientID: id}
			return historyPacket{kind: codec.CONNECT, connect: c}
		}
		disconnect := historyPacket{kind: codec.DISCONNECT}
		err := r.takeAll([]historyStep{
			{opens: true, eager: true, packets: []historyPacket{connect(false)}},
			{packets: []historyPacket{disconnect}},
			{opens: true, packets: []historyPacket{connect(true), disconnect}},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// clear compares all that is retained with the model, clears it, and has everyone disconnect.
func (r *historyRunner) clear() error {
	var steps []historyStep
	auditor := slices.IndexFunc(r.model.live[:], func(c *modelConn) bool { return c != nil })
	if auditor < 0 {
		auditor = 0
		connect := &historyConnect{name: "MQTT", level: 4, clean: true, clientID: "@0"}
		steps = append(steps, historyStep{opens: true, packets: []historyPacket{{kind: codec.CONNECT, connect: connect}}})
	}
	audit := historyPacket{kind: codec.SUBSCRIBE, flags: 2, id: 1}
	for _, f := range []string{"@/#", "/@/#", "$@/#", "$SYS/@/#"} {
		audit.filters = append(audit.filters, codec.Subscription{Filter: f})
	}
	clearing := []historyPacket{{kind: codec.PINGREQ}}
	for _, topic := range r.model.retainedTopics() {
		clearing = append(clearing, historyPacket{kind: codec.PUBLISH, flags: publishRetain, topic: topic})
	}
	steps = append(steps,
		historyStep{slot: auditor, packets: []historyPacket{audit}}, historyStep{slot: auditor, packets: clearing})
	for slot := range historySlots {
		steps = append(steps, historyStep{slot: slot, packets: []historyPacket{{kind: codec.DISCONNECT}}})
	}
	return r.takeAll(steps)
}

func (r *historyRunner) takeAll(steps []historyStep) error {
	for i := range steps {
		if err := r.take(&steps[i]); err != nil {
			return fmt.Errorf("%s: %w", &steps[i], err)
		}
	}
	return nil
}

// abandon closes what a history that failed has left open.
func (r *historyRunner) abandon() {
	for _, w := range r.wires {
		w.close()
	}
}

// take has the broker and the model take a step and compares what comes.
func (r *historyRunner) take(s *historyStep) error {
	away := len(r.model.sessions)
	o, ok := r.model.apply(s)
	if !ok {
		return nil
	}
	r.taken++
	r.probe = "probe " + strconv.Itoa(r.taken)
	deadline := time.Now().Add(r.patience)
	if s.opens {
		if away > 0 {
			if err := r.settleLoops(deadline); err != nil {
				return err
			}
		}
		w, err := dialHistory(r.server.Addr(), r.tag, &r.came)
		if err != nil {
			return err
		}
		r.wires[o.actor] = w
	}
	for _, c := range o.concerned {
		// Who leaves does not wait for what is not on disk yet.
		c.due.repliesCut = c.due.repliesCut || c.due.deliveriesCut && r.server.config.DataDir != ""
		r.wires[c].begin(deadline, r.probe, &c.due)
	}
	if err := r.send(s, &o); err != nil {
		return fmt.Errorf("client %d: %w", s.slot, err)
	}
	for _, c := range o.concerned {
		if err := r.receive(c); err != nil {
			return fmt.Errorf("client %d: %w", c.slot, err)
		}
	}
	return nil
}

// Wildcards at the root do not match the topic of the probe, so that histories do not see each
// other's.
const (
	probeTopic      = "$probe/" + tagMark
	lastReplayTopic = "$probe"
	probeID         = 0xFFFE
	lastReplayID    = 0xFFFD
)

var (
	probeSubscription      = subscriptionTo(probeTopic, probeID)
	lastReplaySubscription = subscriptionTo(lastReplayTopic, lastReplayID)
)

func subscriptionTo(filter string, id uint16) historyPacket {
	return historyPacket{kind: codec.SUBSCRIBE, flags: 2, id: id, filters: []codec.Subscription{{Filter: filter}}}
}

func (r *historyRunner) appendProbe(b []byte) []byte {
	p := historyPacket{kind: codec.PUBLISH, topic: probeTopic, payload: r.probe}
	r.model.totals.PublishReceived[codec.QoS0]++
	return p.appendTo(b, r.tag)
}

// appendBarrier appends what ends a step of a client that stays.
func (r *historyRunner) appendBarrier(b []byte, d *due) []byte {
	if len(d.replays) > 0 {
		b = lastReplaySubscription.appendTo(b, r.tag)
		d.replies = append(d.replies, fmt.Sprintf("SUBACK %d [0]", lastReplayID))
	}
	return r.appendProbe(b)
}

// send writes the step's packets and a probe, by the same client or by another one.
func (r *historyRunner) send(s *historyStep, o *outcome) error {
	w, due := r.wires[o.actor], &o.actor.due
	b := r.buf[:0]
	for i := range o.packets {
		from := len(b)
		b = o.packets[i].appendTo(b, r.tag)
		if i == len(o.packets)-1 && s.halved() {
			b = b[:from+(len(b)-from)/2]
		} else if i == 0 && s.opens && o.actor.connected {
			b = probeSubscription.appendTo(b, r.tag)
			due.replies = slices.Insert(due.replies, 1, fmt.Sprintf("SUBACK %d [0]", probeID))
		}
	}
	cuts := s.cuts
	if !due.ends {
		if s.alone {
			if err := w.exchange(b, cuts, due); err != nil {
				return fmt.Errorf("%w; it has got %s, and is due %s", err, w, due)
			}
			b, cuts = b[:0], nil
		}
		b = r.appendBarrier(b, due)
		for i := range due.acknowledgements {
			b = w.appendAcknowledgement(b, &due.acknowledgements[i])
		}
	}
	r.buf = b
	if err := w.write(b, cuts); err != nil && !due.ends {
		return err
	}
	switch s.ending {
	case halfCloses:
		_ = w.conn.CloseWrite()
	case resets:
		w.close()
	}
	if !due.ends {
		return nil
	}
	if err := r.awaitEnd(o.actor, w); err != nil {
		return err
	}
	return r.sendProbe()
}

// awaitEnd returns when the broker has cleaned up after a connection, its Will included.
func (r *historyRunner) awaitEnd(c *modelConn, w *historyWire) error {
	if !w.closed {
		if err := w.readToEnd(); err != nil {
			return err
		}
	}
	switch {
	case !c.connected:
		return nil
	case c.clientID != "":
		return r.awaitRelease(c, w)
	}
	// Its identifier is not known, but its loop has closed the connection. A loop opens its letters,
	// buries the closed, and flushes: when it answers a second letter, that has been done.
	if err := r.settleLoops(w.deadline); err != nil {
		return err
	}
	return r.settleLoops(w.deadline)
}

// settleLoops returns when each loop has delivered what the others have handed over. What was published at
// QoS 0 while a client was away may still be on its way to the loop that it was on: it would get that if it
// were back there.
func (r *historyRunner) settleLoops(deadline time.Time) error {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	if _, all := r.server.ask(ctx, letterPending); !all {
		return errors.New("the loops do not answer their letters")
	}
	return nil
}

func (r *historyRunner) awaitRelease(c *modelConn, w *historyWire) error {
	id := []byte(strings.ReplaceAll(c.clientID, tagMark, r.tag))
	for tries := 0; r.server.clients.Known(id); tries++ {
		if tries < 20 {
			runtime.Gosched()
			continue
		}
		if time.Now().After(w.deadline) {
			return errors.New("the broker keeps the client after its connection has ended")
		}
		time.Sleep(20 * time.Microsecond)
	}
	return nil
}

// sendProbe has a client that did nothing in this step publish the probe.
func (r *historyRunner) sendProbe() error {
	for i := range historySlots {
		if c := r.model.live[(r.taken+i)%historySlots]; c != nil {
			return r.wires[c].write(r.appendProbe(nil), nil)
		}
	}
	return nil // nobody is there to see anything
}

// receive reads what is due to a connection and compares.
func (r *historyRunner) receive(c *modelConn) error {
	w, due := r.wires[c], &c.due
	if !due.ends {
		if err := w.await(due); err != nil {
			return fmt.Errorf("%w; it has got %s, and is due %s", err, w, due)
		}
	} else {
		if !w.closed {
			if err := w.readToEnd(); err != nil {
				return err
			}
		}
		w.close()
		delete(r.wires, c)
	}
	if err := w.compare(due, c.session); err != nil {
		return fmt.Errorf("%w; it has got %s, and is due %s", err, w, due)
	}
	for qos, n := range w.replaysAnswered {
		r.model.totals.Delivered[qos] += n
	}
	return nil
}
