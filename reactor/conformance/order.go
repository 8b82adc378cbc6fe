package conformance

import "strconv"

func orderCases() []testCase {
	return []testCase{
		{rule: "MQTT-4.6.0-6", name: "QoS 0", also: []string{"MQTT-4.6.0-5"}, run: func(t *trial) {
			watchers := []*client{t.subscriber(t.topic("a")), t.subscriber(t.topic("#")), t.subscriber(t.topic("+"))}
			c := t.client()
			var sent []publish
			for i := range 500 {
				sent = append(sent, publish{topic: t.topic("a"), payload: strconv.Itoa(i)})
			}
			for i := 0; i < len(sent); i += 50 {
				c.publish(sent[i : i+50]...)
			}
			for _, watcher := range watchers {
				watcher.expectPublish(sent...)
			}
		}},
		{rule: "MQTT-4.6.0-6", name: "QoS 1", also: []string{"MQTT-4.6.0-2"}, run: func(t *trial) {
			watcher := t.subscriber(t.topic("a"))
			c := t.client()
			var packets [][]byte
			var sent []publish
			for i := range uint16(100) {
				m := publish{topic: t.topic("a"), payload: strconv.Itoa(int(i)), qos: 1, id: 1000 - i}
				packets = append(packets, m.packet())
				sent = append(sent, publish{topic: m.topic, payload: m.payload})
			}
			c.send(packets...)
			for i := range uint16(100) {
				c.expect("PUBACK", acknowledge(firstPuback, 1000-i))
			}
			watcher.expectPublish(sent...)
		}},
		{
			rule: "MQTT-4.6.0-3", name: "PUBREC in the order of PUBLISH",
			also: []string{"MQTT-4.6.0-6"}, run: func(t *trial) {
				watcher := t.subscriber(t.topic("a"))
				c := t.client()
				var packets [][]byte
				var sent []publish
				for i := range uint16(10) {
					m := publish{topic: t.topic("a"), payload: strconv.Itoa(int(i)), qos: 2, id: 1000 - i}
					packets = append(packets, m.packet())
					sent = append(sent, publish{topic: m.topic, payload: m.payload})
				}
				c.send(packets...)
				for i := range uint16(10) {
					c.expect("PUBREC", acknowledge(firstPubrec, 1000-i))
				}
				for i := range uint16(10) {
					c.release(1000 - i)
				}
				watcher.expectPublish(sent...)
			}},
		{rule: "MQTT-4.6.0-6", name: "each of four publishers", run: func(t *trial) {
			const publishers, each = 4, 100
			watcher := t.subscriber(t.topic("a"))
			for p := range publishers {
				c := t.client()
				var sent []publish
				for i := range each {
					sent = append(sent, publish{topic: t.topic("a"), payload: strconv.Itoa(p) + " " + strconv.Itoa(i)})
				}
				c.publish(sent...)
			}
			next := map[string]int{}
			for range publishers * each {
				got := watcher.nextPublish()
				if want := got.payload[:2] + strconv.Itoa(next[got.payload[:2]]); got.payload != want {
					t.Errorf("got %q, expected %q next of this publisher", got.payload, want)
					t.FailNow()
				}
				next[got.payload[:2]]++
			}
		}},
	}
}
