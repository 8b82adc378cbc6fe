package conformance

import (
	"slices"
	"sync"

	"github.com/stretchr/testify/require"
)

// restart brings all cases that need one to the point before it, restarts the broker once, and lets them go on.
type restart struct {
	coming sync.WaitGroup // cases that have neither come to the restart nor ended
	done   chan struct{}  // closed after the restart
	err    error          // of the restart; immutable once done is closed
}

func newRestart() *restart { return &restart{done: make(chan struct{})} }

// perform waits for all cases that joined.
func (r *restart) perform(broker func() error) {
	r.coming.Wait()
	r.err = broker()
	close(r.done)
}

// join makes the trial one that r waits for. Call it before the trial starts.
func (t *trial) join(r *restart) {
	r.coming.Add(1)
	came := sync.OnceFunc(r.coming.Done)
	t.cleanups = append(t.cleanups, came) // a trial that has failed does not come
	t.restart = func() {
		came()
		<-r.done
		require.NoError(t, r.err, "restarting the broker")
	}
}

// restartCases keep a Session, or a retained message, across a restart of the broker. No numbered rule demands it; those
// named beside the section speak of the Session, wherever it is stored.
func restartCases() []testCase {
	const needs = needsRestart | needsSessions
	return slices.Concat(
		eachQoS(testCase{
			rule: "section-4.1", name: "a subscription after a restart",
			also: []string{"MQTT-3.1.2-4", "MQTT-3.2.2-2"}, needs: needs,
		}, 0, func(t *trial, qos byte) {
			c := t.persistent(subscription{t.topic("a"), qos}, subscription{t.topic("b"), qos})
			c.unsubscribe(t.topic("b"))
			c.leave()
			t.restart()
			c, by := c.resume(), t.client()
			m := publish{topic: t.topic("a"), payload: "x", qos: qos}
			by.give(publish{topic: t.topic("b"), payload: "none", qos: qos}, m)
			c.take(m)
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "section-4.1", name: "stored messages after a restart",
			also: []string{"MQTT-3.1.2-5", "MQTT-4.6.0-6"}, needs: needs,
		}, 1, func(t *trial, qos byte) {
			c, other := t.persistent(subscription{t.topic("a"), qos}), t.persistent(subscription{t.topic("a"), 1})
			c.leave()
			other.leave()
			messages := numbered(t.topic("a"), qos, 50)
			t.client().give(messages...)
			t.restart()
			by := t.client()
			for _, c := range []*client{c.resume(), other.resume()} {
				for _, m := range messages {
					if c.origin.id == other.origin.id {
						m.qos = 1
					}
					c.takeAgain(m) // a broker need not store what it has sent: DUP says that it might have
				}
				c.expectSilence(by)
			}
		}),
		eachQoS(testCase{
			rule: "section-4.1", name: "unacknowledged messages after a restart",
			also:  []string{"MQTT-4.4.0-1", "MQTT-3.3.1-1", "MQTT-4.6.0-1"},
			needs: needs,
		}, 1, func(t *trial, qos byte) {
			c, by := t.persistent(subscription{t.topic("a"), qos}), t.client()
			messages := numbered(t.topic("a"), qos, unacknowledgedMin)
			by.give(messages...)
			again := repeated(messages, c.expectMessages(messages...))
			c.accept(qos, again[2].id)
			again = slices.Delete(again, 2, 3)
			c.ping()
			t.restart()
			c, by = c.resume(), t.client()
			c.expectMessages(again...)
			m := publish{topic: t.topic("a"), payload: "after the restart", qos: qos}
			by.give(m)
			ids := append(identifiers(again), c.expectMessage(m))
			requireDistinct(t, ids)
			for _, id := range ids {
				c.accept(qos, id)
			}
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "section-4.1", name: "an exchange begun before a restart is completed after it",
			also: []string{"MQTT-4.3.3-2"}, needs: needs,
		}, 1, func(t *trial, qos byte) {
			c, by := t.persistent(subscription{t.topic("a"), qos}), t.persistent()
			c.leave() // the broker may deliver on PUBLISH or on PUBREL
			messages := numbered(t.topic("a"), 2, 3)
			for i := range messages {
				messages[i].id = uint16(i + 1)
				by.publishQoS2(messages[i])
			}
			by.release(messages[0].id)
			t.restart()
			by = by.resume()
			by.release(messages[0].id)
			messages[1].dup = true
			by.publishQoS2(messages[1])
			by.release(messages[1].id)
			by.release(messages[2].id)
			c = c.resume()
			for _, m := range messages {
				c.takeAgain(t.sent(m, qos))
			}
			c.expectSilence(by)
		}),
		eachQoS(testCase{
			rule: "section-4.1", name: "retained messages after a restart",
			also:  []string{"MQTT-3.1.2-7", "MQTT-3.3.1-5"},
			needs: needsRestart,
		}, 0, func(t *trial, qos byte) {
			kept := publish{topic: t.topic("kept"), payload: "kept", qos: qos, retain: true}
			cleared := publish{topic: t.topic("cleared"), payload: "kept", qos: qos, retain: true}
			by := t.client()
			t.retain(by, kept, cleared, publish{topic: cleared.topic, qos: qos})
			t.restart()
			c := t.subscriberAt(qos, t.topic("+"))
			c.take(kept)
			c.expectSilence(t.client())
		}),
		[]testCase{
			{
				rule: "section-4.1", name: "an unacknowledged PUBREL after a restart",
				also: []string{"MQTT-4.4.0-1", "MQTT-4.3.3-1"}, needs: needs | needsQoS2, run: func(t *trial) {
					c, by := t.persistent(subscription{t.topic("a"), 2}), t.client()
					m := publish{topic: t.topic("a"), payload: "x", qos: 2}
					by.give(m)
					id := c.expectMessage(m)
					c.send(acknowledge(firstPubrec, id))
					c.expect("PUBREL", acknowledge(firstPubrel, id))
					t.restart()
					c = c.resume()
					c.expect("PUBREL", acknowledge(firstPubrel, id))
					c.send(acknowledge(firstPubcomp, id))
					c.expectSilence(t.client())
				}},
			{
				rule: "section-4.1", name: "a discarded Session stays so after a restart",
				also: []string{"MQTT-3.1.2-6", "MQTT-3.2.2-3"}, needs: needs | needsQoS1, run: func(t *trial) {
					c := t.persistent(subscription{t.topic("a"), 1})
					c.leave()
					t.client().give(publish{topic: t.topic("a"), payload: "discarded", qos: 1})
					p := c.origin
					p.cleanSession = true
					t.connect(p).leave()
					t.restart()
					c.again().expectSilence(t.client())
				}},
		},
	)
}

// identifiers are those of the messages.
func identifiers(messages []publish) []uint16 {
	ids := make([]uint16, len(messages))
	for i, m := range messages {
		ids[i] = m.id
	}
	return ids
}
