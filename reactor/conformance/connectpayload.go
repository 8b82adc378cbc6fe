package conformance

import (
	"strconv"
	"strings"
	"time"
)

func connectPayloadCases() []testCase {
	const clean = flagCleanSession
	id := func(t *trial) []byte { return text(t.newID()) }
	will := join(text("will"), text("gone"))
	var cases []testCase
	for _, bad := range []struct {
		rule, name string
		flags      byte
		payload    []byte // after the Client Identifier
	}{
		{"MQTT-3.1.2-9", "Will Flag without Will fields", clean | flagWill, nil},
		{"MQTT-3.1.2-9", "Will Flag without Will Message", clean | flagWill, text("will")},
		{"MQTT-3.1.2-11", "Will fields without Will Flag", clean, will},
		{"MQTT-3.1.2-11", "Will QoS and Will Retain without Will Flag", clean | flagWillQoS1 | flagWillRetain, nil},
		{"MQTT-3.1.2-13", "Will QoS 1 without Will Flag", clean | flagWillQoS1, nil},
		{"MQTT-3.1.2-13", "Will QoS 2 without Will Flag", clean | flagWillQoS2, nil},
		{"MQTT-3.1.2-14", "Will QoS 3", clean | flagWill | flagWillQoS3, will},
		{"MQTT-3.1.2-15", "Will Retain without Will Flag", clean | flagWillRetain, nil},
		{"MQTT-3.1.2-18", "user name without User Name Flag", clean, text("user")},
		{"MQTT-3.1.2-19", "User Name Flag without user name", clean | flagUserName, nil},
		{"MQTT-3.1.2-20", "password without Password Flag", clean | flagUserName, join(text("user"), text("secret"))},
		{"MQTT-3.1.2-21", "Password Flag without password", clean | flagUserName | flagPassword, text("user")},
		{"MQTT-3.1.2-22", "Password Flag without User Name Flag", clean | flagPassword, text("secret")},
		{"MQTT-3.1.4-1", "a byte too many", clean, []byte{0}},
		{"MQTT-3.1.4-1", "Will Topic longer than the packet", clean | flagWill, []byte("\x00\x09will\x00\x00")},
		{"MQTT-3.1.4-1", "Will Message longer than the packet", clean | flagWill, []byte("\x00\x04will\x00\x09gone")},
		{"MQTT-3.1.4-1", "password longer than the packet", clean | flagUserName | flagPassword, []byte("\x00\x01u\x00\x02p")},
	} {
		cases = append(cases, testCase{
			rule: bad.rule, name: bad.name,
			also: []string{"MQTT-3.1.4-1"}, run: func(t *trial) {
				c := t.dial()
				c.trySend(rawConnect("MQTT", 4, bad.flags, 0, id(t), bad.payload))
				c.expectClosed(bad.name)
			}})
	}
	for _, bad := range []struct {
		rule, name string
		packet     []byte
	}{
		{"MQTT-3.1.3-3", "no Client Identifier", rawConnect("MQTT", 4, clean, 0)},
		{"MQTT-3.1.3-3", "Client Identifier longer than the packet", rawConnect("MQTT", 4, clean, 0, []byte("\x00\x09id"))},
		{"MQTT-3.1.3-3", "half the length of a Client Identifier", rawConnect("MQTT", 4, clean, 0, []byte{0})},
		{"MQTT-3.1.4-1", "empty CONNECT", packet(firstConnect)},
		{"MQTT-3.1.4-1", "CONNECT without Connect Flags", packet(firstConnect, text("MQTT"), []byte{4})},
		{"MQTT-3.1.4-1", "CONNECT without Keep Alive", packet(firstConnect, text("MQTT"), []byte{4, clean})},
		{"MQTT-3.1.4-1", "CONNECT with half a Keep Alive", packet(firstConnect, text("MQTT"), []byte{4, clean, 0})},
		{"MQTT-3.1.4-1", "protocol name longer than the packet", packet(firstConnect, []byte("\x00\x40MQTT\x04\x02\x00\x00\x00\x01a"))},
	} {
		cases = append(cases, testCase{
			rule: bad.rule, name: bad.name,
			also: []string{"MQTT-3.1.4-1"}, run: func(t *trial) {
				c := t.dial()
				c.trySend(bad.packet)
				c.expectClosed(bad.name)
			}})
	}
	return append(cases, identifierFieldCases()...)
}

func identifierFieldCases() []testCase {
	const letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	cases := []testCase{
		{rule: "MQTT-3.1.3-5", name: "one character", run: func(t *trial) {
			t.connect(connect{id: t.token[len(t.token)-1:], cleanSession: true})
		}},
		{rule: "MQTT-3.1.3-6", name: "empty identifiers are unique", also: []string{"MQTT-3.2.2-1"}, run: func(t *trial) {
			a := t.connect(connect{cleanSession: true})
			b := t.connect(connect{cleanSession: true})
			time.Sleep(grace)
			for _, c := range []*client{a, b} {
				c.subscribe(t.topic("a"))
			}
			a.publish(publish{topic: t.topic("a"), payload: "both"})
			a.expectPublish(publish{topic: t.topic("a"), payload: "both"})
			b.expectPublish(publish{topic: t.topic("a"), payload: "both"})
		}},
		{
			rule: "MQTT-3.1.3-8", name: "empty identifier with Clean Session 0", run: func(t *trial) {
				c := t.dial()
				c.send(connect{}.packet())
				c.expectConnack(0, identifierRejected)
				c.expectClosed("CONNACK 0x02")
			},
			also: []string{"MQTT-3.1.3-7", "MQTT-3.1.3-9", "MQTT-3.2.2-4", "MQTT-3.2.2-5"},
		},
		{rule: "MQTT-3.1.3-2", name: "identifiers differ by case", run: func(t *trial) {
			id := t.newID()
			a := t.connect(connect{id: id + "a", cleanSession: true})
			b := t.connect(connect{id: id + "A", cleanSession: true})
			time.Sleep(grace)
			a.ping()
			b.ping()
		}},
		{
			rule: "MQTT-3.1.3-1", name: "all fields in their order",
			also: []string{"MQTT-3.1.2-9", "MQTT-3.1.3-3"}, run: func(t *trial) {
				will := publish{topic: t.topic("will"), payload: "message"}
				watcher := t.subscriber(t.topic("#"))
				id := t.newID()
				c := t.connect(connect{id: id, cleanSession: true, will: &will, userName: "user", password: "secret"})
				t.connect(connect{id: id, cleanSession: true}) // a takeover shows that the identifier was read right
				c.expectClosed("a takeover")
				watcher.expectPublish(will)
			}},
	}
	for i, from := range []int{0, 23, 39} {
		cases = append(cases, testCase{
			rule: "MQTT-3.1.3-5", name: "23 characters, part " + strconv.Itoa(i+1),
			run: func(t *trial) {
				t.connect(connect{id: letters[from : from+23], cleanSession: true}).ping()
			}})
	}
	return append(cases, testCase{rule: "MQTT-3.1.3-5", name: "the same character 23 times", run: func(t *trial) {
		t.connect(connect{id: strings.Repeat("a", 23), cleanSession: true}).ping()
	}})
}
