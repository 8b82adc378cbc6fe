package conformance

import (
	"strconv"
	"time"

	"github.com/stretchr/testify/require"
)

func connectCases() []testCase {
	cases := []testCase{
		{rule: "MQTT-3.1.0-2", name: "second CONNECT", run: func(t *trial) {
			id := t.newID()
			c := t.connect(connect{id: id, cleanSession: true})
			c.trySend(connect{id: id, cleanSession: true}.packet())
			c.expectClosed("a second CONNECT")
		}},
		{
			rule: "MQTT-3.1.0-2", name: "second CONNECT with another identifier",
			also: []string{"MQTT-3.1.2-8"}, run: func(t *trial) {
				will := publish{topic: t.topic("will"), payload: "gone"}
				watcher := t.subscriber(will.topic)
				c := t.connect(connect{id: t.newID(), cleanSession: true, will: &will})
				c.trySend(connect{id: t.newID(), cleanSession: true}.packet())
				c.expectClosed("a second CONNECT")
				watcher.expectPublish(will)
			}},
		{rule: "MQTT-3.1.0-2", name: "second CONNECT in the same segment", run: func(t *trial) {
			p := connect{id: t.newID(), cleanSession: true}.packet()
			c := t.dial()
			c.trySend(p, p)
			// The CONNACK to the first may be lost with the connection, but two must not come.
			if frame := c.nextOrClosed(); frame != nil {
				require.Equal(t, show(connack(0, accepted)), show(frame))
				c.expectClosed("a second CONNECT")
			}
		}},
		{
			rule: "MQTT-3.1.2-3", name: "reserved flag",
			also: []string{"MQTT-3.1.4-1", "MQTT-3.2.2-6"}, run: func(t *trial) {
				c := t.dial()
				c.trySend(rawConnect("MQTT", 4, flagCleanSession|flagReserved, 0, text(t.newID())))
				c.expectClosed("a CONNECT with the reserved flag")
			}},
		{
			rule: "MQTT-3.1.2-2", name: "a refused CONNECT does not disturb the connected Client",
			also: []string{"MQTT-3.1.4-5"}, run: func(t *trial) {
				id := t.newID()
				old := t.connect(connect{id: id, cleanSession: true})
				c := t.dial()
				c.send(rawConnect("MQTT", 6, flagCleanSession, 0, text(id)))
				c.expectConnack(0, unacceptableLevel)
				c.expectClosed("CONNACK 0x01")
				time.Sleep(grace)
				old.ping()
			}},
		{rule: "section-3.1.2.2", name: "CONNECT of MQTT 3.1", run: func(t *trial) {
			c := t.dial()
			c.send(rawConnect("MQIsdp", 3, flagCleanSession, 60, text(t.newID())))
			c.expectConnack(0, accepted)
			c.subscribe(t.topic("a"))
			c.publish(publish{topic: t.topic("a"), payload: "x"})
			c.expectPublish(publish{topic: t.topic("a"), payload: "x"})
			c.ping()
		}},
		{
			rule: "section-3.1.4", name: "CONNECT, SUBSCRIBE and PUBLISH in one segment",
			also: []string{"MQTT-3.2.0-1"}, run: func(t *trial) {
				m := publish{topic: t.topic("a"), payload: "x"}
				c := t.dial()
				c.send(connect{id: t.newID(), cleanSession: true}.packet(),
					subscribe(1, subscription{filter: m.topic}), m.packet())
				c.expectConnack(0, accepted)
				c.expectBoth(suback(1, 0), m.packet())
			}},
		{rule: "section-3.1.4", name: "CONNECT, PUBLISH and DISCONNECT in one segment", run: func(t *trial) {
			m := publish{topic: t.topic("a"), payload: "x"}
			watcher := t.subscriber(m.topic)
			c := t.dial()
			c.send(connect{id: t.newID(), cleanSession: true}.packet(), m.packet(), disconnect)
			watcher.expectPublish(m)
			c.awaitClosed(t.patience, "DISCONNECT")
		}},
		{
			rule: "section-3.1.4", name: "a connection without CONNECT ends",
			needs: needsConnectTimeout, run: func(t *trial) {
				c := t.dial()
				start := time.Now()
				end := c.awaitClosed(t.target.ConnectTimeout+t.target.keepAliveSlack(), "waiting in vain for CONNECT")
				require.GreaterOrEqual(t, end.Sub(start), t.target.ConnectTimeout*9/10, "how long the broker waited")
			}},
		{rule: "section-3.1.4", name: "a CONNECT that never ends", needs: needsConnectTimeout, run: func(t *trial) {
			p := connect{id: t.newID(), cleanSession: true}.packet()
			c := t.dial()
			c.send(p[:len(p)-1])
			c.awaitClosed(t.target.ConnectTimeout+t.target.keepAliveSlack(), "half a CONNECT")
		}},
		{
			rule: "section-3.1.2.4", name: "Clean Session 0",
			also: []string{"MQTT-3.2.2-3", "MQTT-3.1.4-4"}, run: func(t *trial) {
				c := t.connect(connect{id: t.newID()}) // Session Present 0: the identifier is new
				c.subscribe(t.topic("a"))
				c.publish(publish{topic: t.topic("a"), payload: "x"})
				c.expectPublish(publish{topic: t.topic("a"), payload: "x"})
				c.leave()
			}},
		{
			rule: "section-3.1.3", name: "user name and password",
			also: []string{"MQTT-3.1.2-19", "MQTT-3.1.2-21"}, run: func(t *trial) {
				t.connect(connect{id: t.newID(), cleanSession: true, userName: "user", password: "\x00\xFFnot text"}).ping()
				t.connect(connect{id: t.newID(), cleanSession: true, userName: "user"}).ping()
			}},
	}
	for _, protocol := range []struct{ name, sent string }{
		{"another name", "MQTX"}, {"lower case", "mqtt"}, {"longer", "MQTTT"}, {"shorter", "MQT"},
		{"empty", ""}, {"HTTP", "GET / HTTP/1.1"},
	} {
		cases = append(cases, testCase{rule: "MQTT-3.1.2-1", name: "protocol name " + protocol.name, run: func(t *trial) {
			c := t.dial()
			c.trySend(rawConnect(protocol.sent, 4, flagCleanSession, 0, text(t.newID())))
			c.expectClosed("protocol name " + protocol.sent)
		}})
	}
	for _, level := range []byte{0, 6, 127} {
		cases = append(cases, testCase{
			rule: "MQTT-3.1.2-2", name: "Protocol Level " + strconv.Itoa(int(level)),
			also: []string{"MQTT-3.2.2-4", "MQTT-3.2.2-5"}, run: func(t *trial) {
				c := t.dial()
				c.send(rawConnect("MQTT", level, flagCleanSession, 0, text(t.newID())))
				c.expectConnack(0, unacceptableLevel)
				c.expectClosed("CONNACK 0x01")
			}})
	}
	for _, first := range []struct {
		name  string
		build func(topic string) []byte
	}{
		{"PUBLISH", func(topic string) []byte { return publish{topic: topic}.packet() }},
		{"SUBSCRIBE", func(topic string) []byte { return subscribe(1, subscription{filter: topic}) }},
		{"UNSUBSCRIBE", func(topic string) []byte { return unsubscribe(1, topic) }},
		{"PUBREL", func(string) []byte { return acknowledge(firstPubrel, 1) }},
		{"PINGREQ", func(string) []byte { return pingreq }},
		{"DISCONNECT", func(string) []byte { return disconnect }},
		{"CONNACK", func(string) []byte { return connack(0, accepted) }},
	} {
		cases = append(cases, testCase{
			rule: "MQTT-3.1.0-1", name: first.name + " first",
			also: []string{"MQTT-4.8.0-1"}, run: func(t *trial) {
				c := t.dial()
				c.trySend(first.build(t.topic("a")))
				c.expectClosed(first.name + " before CONNECT")
			}})
	}
	cases = append(cases, eachQoS(testCase{
		rule: "section-3.1.4", name: "CONNECT, SUBSCRIBE and the whole exchange in one segment",
		also: []string{"MQTT-3.2.0-1"},
	}, 1, func(t *trial, qos byte) {
		m := publish{topic: t.topic("a"), payload: "x", qos: qos, id: 2}
		packets := [][]byte{connect{id: t.newID(), cleanSession: true}.packet(), subscribe(1, subscription{m.topic, qos}), m.packet()}
		answers := []string{show(suback(1, qos))}
		if qos == 1 {
			answers = append(answers, show(acknowledge(firstPuback, 2)))
		} else {
			packets = append(packets, acknowledge(firstPubrel, 2))
			answers = append(answers, show(acknowledge(firstPubrec, 2)), show(acknowledge(firstPubcomp, 2)))
		}
		c := t.dial()
		c.send(packets...)
		c.expectConnack(0, accepted)
		var got []string
		var id uint16
		for range len(answers) + 1 {
			frame := c.next("an answer or PUBLISH")
			if frame[0]&0xF0 != firstPublish {
				got = append(got, show(frame))
				continue
			}
			p, _ := parsePublish(frame)
			id, p.id = p.id, m.id
			require.Equal(t, show(m.packet()), show(p.packet()))
		}
		require.Equal(t, answers, got)
		c.accept(qos, id)
		c.ping()
	})...)
	return append(cases, testCase{rule: "MQTT-3.1.0-1", name: "nothing before CONNECT is processed", run: func(t *trial) {
		watcher := t.subscriber(t.topic("#"))
		c := t.dial()
		c.trySend(publish{topic: t.topic("a"), payload: "early"}.packet(),
			connect{id: t.newID(), cleanSession: true}.packet())
		c.expectClosed("PUBLISH before CONNECT")
		watcher.expectSilence(t.client())
	}})
}
