package conformance

import "fmt"

func identifierCases() []testCase {
	cases := []testCase{
		{
			rule: "MQTT-2.3.1-5", name: "delivered without a Packet Identifier",
			also: []string{"MQTT-4.3.1-1"}, run: func(t *trial) {
				c := t.subscriber(t.topic("a"))
				c.publish(publish{topic: t.topic("a"), payload: "\x00\x01two"})
				c.expectPublish(publish{topic: t.topic("a"), payload: "\x00\x01two"})
			}},
	}
	for _, bad := range []struct {
		name  string
		build func(topic string) []byte
	}{
		{"SUBSCRIBE", func(topic string) []byte { return subscribe(0, subscription{filter: topic}) }},
		{"UNSUBSCRIBE", func(topic string) []byte { return unsubscribe(0, topic) }},
		{"PUBLISH at QoS 1", func(topic string) []byte { return publish{topic: topic, qos: 1}.packet() }},
		{"PUBLISH at QoS 2", func(topic string) []byte { return publish{topic: topic, qos: 2}.packet() }},
	} {
		name := "Packet Identifier 0 in " + bad.name
		cases = append(cases, testCase{
			rule: "MQTT-2.3.1-1", name: name,
			also: []string{"MQTT-4.8.0-1"}, run: func(t *trial) {
				c := t.client()
				c.trySend(bad.build(t.topic("a")))
				c.expectClosed(name)
			}})
	}
	for _, id := range []uint16{1, 0x00FF, 0x0100, 0xFFFF} {
		name := fmt.Sprintf("Packet Identifier 0x%04X", id)
		cases = append(cases,
			testCase{rule: "MQTT-2.3.1-6", name: name, run: func(t *trial) {
				c := t.client()
				c.send(publish{topic: t.topic("a"), qos: 1, id: id}.packet())
				c.expect("PUBACK", acknowledge(firstPuback, id))
				c.send(publish{topic: t.topic("a"), qos: 2, id: id}.packet())
				c.expect("PUBREC", acknowledge(firstPubrec, id))
				c.send(acknowledge(firstPubrel, id))
				c.expect("PUBCOMP", acknowledge(firstPubcomp, id))
			}},
			testCase{
				rule: "MQTT-2.3.1-7", name: name,
				also: []string{"MQTT-3.8.4-2", "MQTT-3.10.4-4"}, run: func(t *trial) {
					c := t.client()
					c.send(subscribe(id, subscription{filter: t.topic("a")}))
					c.expect("SUBACK", suback(id, 0))
					c.send(unsubscribe(id, t.topic("a")))
					c.expect("UNSUBACK", acknowledge(firstUnsuback, id))
				}})
	}
	return cases
}
