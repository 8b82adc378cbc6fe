package conformance

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"time"

	"github.com/stretchr/testify/require"
)

// patienceDefault is how long a trial waits for what must happen; chosen, generous for a loaded machine.
const patienceDefault = 20 * time.Second

// patienceForDeviations is the same where it is known to be in vain; chosen.
const patienceForDeviations = 3 * time.Second

// grace is how long a trial waits where what must not happen could arrive after its marker; chosen.
const grace = 150 * time.Millisecond

// trial is one run of one case. It collects failures instead of ending the test, so that a known deviation can be
// told apart. It is confined to the case's goroutine until that has ended.
type trial struct {
	target   Target
	patience time.Duration // how long to wait for what must happen
	token    string        // letters and digits, unique to this trial
	ids      int           // Client Identifiers handed out
	failures []string
	cleanups []func()
	restart  func() // returns when the broker has been restarted; nil in cases that do not need it
}

var _ require.TestingT = (*trial)(nil)

func newTrial(target Target, token string) *trial {
	return &trial{target: target, token: token, patience: patienceDefault}
}

// start runs the case on a goroutine of its own when places has room. The channel it returns is closed at the end.
func (t *trial) start(run func(*trial), places chan struct{}) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		places <- struct{}{}
		defer func() {
			for _, cleanup := range t.cleanups {
				cleanup()
			}
			<-places
			close(ended)
		}()
		run(t)
	}()
	return ended
}

// Errorf notes a failure.
func (t *trial) Errorf(format string, args ...any) {
	t.failures = append(t.failures, fmt.Sprintf(format, args...))
}

// FailNow ends the case's goroutine.
func (t *trial) FailNow() { runtime.Goexit() }

// newID returns a Client Identifier of letters and digits, at most 23 bytes long [MQTT-3.1.3-5].
func (t *trial) newID() string {
	t.ids++
	return t.token + "c" + strconv.Itoa(t.ids)
}

// topic returns a Topic Name or Topic Filter whose first level is this trial's own.
func (t *trial) topic(rest string) string { return t.token + "/" + rest }

// granted is the return code the broker must give to a subscription that asks for qos.
func (t *trial) granted(qos byte) byte { return min(qos, t.target.MaxQoS) }

// dial opens a Network Connection and sends nothing.
func (t *trial) dial() *client {
	conn, err := net.DialTimeout("tcp", t.target.Address, t.patience)
	require.NoError(t, err)
	t.cleanups = append(t.cleanups, func() { _ = conn.Close() })
	return newClient(t, conn)
}

// connect opens a Network Connection and completes the CONNECT exchange with Session Present 0.
func (t *trial) connect(p connect) *client { return t.connectTo(p, 0) }

// connectTo opens a Network Connection and completes the CONNECT exchange with the given Session Present.
func (t *trial) connectTo(p connect, sessionPresent byte) *client {
	c := t.dial()
	c.origin = p
	c.send(p.packet())
	c.expectConnack(sessionPresent, accepted)
	return c
}

// client returns a new connected client with Clean Session 1.
func (t *trial) client() *client { return t.connect(connect{id: t.newID(), cleanSession: true}) }

// subscriber returns a new connected client that subscribed at QoS 0 to each filter.
func (t *trial) subscriber(filters ...string) *client { return t.subscriberAt(0, filters...) }

// subscriberAt returns a new connected client that subscribed at qos to each filter.
func (t *trial) subscriberAt(qos byte, filters ...string) *client {
	c := t.client()
	for _, filter := range filters {
		c.subscribeQoS(subscription{filter, qos})
	}
	return c
}

// persistent returns a new connected client with Clean Session 0 and the subscriptions. The Session is discarded when
// the trial has ended.
func (t *trial) persistent(subscriptions ...subscription) *client {
	p := connect{id: t.newID()}
	t.endSession(p.id)
	c := t.connect(p)
	for _, s := range subscriptions {
		c.subscribeQoS(s)
	}
	return c
}

// endSession discards the stored Session of id when the trial has ended.
func (t *trial) endSession(id string) {
	t.cleanups = append(t.cleanups, func() {
		t.tidy(connect{id: id, cleanSession: true}.packet(), pingreq)
	})
}

// retain publishes retained messages, each at its QoS, and waits until the broker has taken them; the trial clears them
// at its end.
func (t *trial) retain(c *client, messages ...publish) {
	for _, m := range messages {
		m.retain = true
		t.clearAtEnd(m.topic)
		c.give(m)
	}
	c.ping()
}

// clearAtEnd removes the retained message of topic when the trial has ended, whatever became of its clients.
func (t *trial) clearAtEnd(topic string) {
	t.cleanups = append(t.cleanups, func() {
		t.tidy(connect{id: t.newID(), cleanSession: true}.packet(), publish{topic: topic, retain: true}.packet(), pingreq)
	})
}

// tidy sends packets on a connection of its own, a CONNECT first and a PINGREQ last, and waits for both answers. It
// expects nothing: it serves trials that have failed, too.
func (t *trial) tidy(packets ...[]byte) {
	conn, err := net.DialTimeout("tcp", t.target.Address, t.patience)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(t.patience))
	if _, err := conn.Write(join(packets...)); err != nil {
		return
	}
	_, _ = io.ReadFull(conn, make([]byte, len(connack(0, accepted))+len(pingresp)))
}
