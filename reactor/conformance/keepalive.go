package conformance

import (
	"time"

	"github.com/stretchr/testify/require"
)

// keepAliveSeconds is the Keep Alive of the cases that let it run out; chosen: the shortest that, times one and a
// half, is whole seconds, which is how some brokers count.
const keepAliveSeconds = 2

// expiry is one and a half times that Keep Alive.
const expiry = keepAliveSeconds * time.Second * 3 / 2

// expectExpiry checks that the broker ends the connection because nothing was sent since last, and not early.
func (c *client) expectExpiry(last time.Time) {
	end := c.awaitClosed(time.Until(last)+expiry+c.t.target.keepAliveSlack(), "one and a half times the Keep Alive")
	require.GreaterOrEqual(c.t, end.Sub(last), expiry, "the connection ended early")
}

func keepAliveCases() []testCase {
	return []testCase{
		{rule: "MQTT-3.1.2-24", name: "a silent Client is disconnected", run: func(t *trial) {
			last := time.Now()
			c := t.connect(connect{id: t.newID(), cleanSession: true, keepAliveSeconds: keepAliveSeconds})
			c.expectExpiry(last)
		}},
		{rule: "MQTT-3.1.2-24", name: "PINGREQ and PUBLISH count", run: func(t *trial) {
			c := t.connect(connect{id: t.newID(), cleanSession: true, keepAliveSeconds: keepAliveSeconds})
			c.subscribe(t.topic("a"))
			last := time.Now()
			for range 3 {
				time.Sleep(expiry / 4)
				c.ping()
				time.Sleep(expiry / 4)
				last = time.Now()
				c.publish(publish{topic: t.topic("a"), payload: "x"})
				c.expectPublish(publish{topic: t.topic("a"), payload: "x"})
			}
			c.expectExpiry(last)
		}},
		{rule: "MQTT-3.1.2-24", name: "deliveries to the Client do not count", run: func(t *trial) {
			by := t.client()
			c := t.connect(connect{id: t.newID(), cleanSession: true, keepAliveSeconds: keepAliveSeconds})
			last := time.Now()
			c.subscribe(t.topic("a"))
			for time.Since(last) < expiry-expiry/8 {
				by.publish(publish{topic: t.topic("a"), payload: "x"})
				c.expectPublish(publish{topic: t.topic("a"), payload: "x"})
				time.Sleep(expiry / 10)
			}
			c.expectExpiry(last)
		}},
		{rule: "MQTT-3.1.2-24", name: "expiry publishes the Will", also: []string{"MQTT-3.1.2-8"}, run: func(t *trial) {
			will := publish{topic: t.topic("will"), payload: "gone"}
			watcher := t.subscriber(will.topic)
			last := time.Now()
			c := t.connect(connect{id: t.newID(), cleanSession: true, keepAliveSeconds: keepAliveSeconds, will: &will})
			c.expectExpiry(last)
			watcher.expectPublish(will)
		}},
		{rule: "section-3.1.2.10", name: "Keep Alive 0", also: []string{"MQTT-4.1.0-2"}, run: func(t *trial) {
			c := t.subscriber(t.topic("a"))
			time.Sleep(expiry + time.Second)
			by := t.client()
			by.publish(publish{topic: t.topic("a"), payload: "still there"})
			c.expectPublish(publish{topic: t.topic("a"), payload: "still there"})
			c.ping()
		}},
		{rule: "section-3.1.2.10", name: "the longest Keep Alive", run: func(t *trial) {
			c := t.connect(connect{id: t.newID(), cleanSession: true, keepAliveSeconds: 0xFFFF})
			time.Sleep(expiry)
			c.ping()
		}},
	}
}
