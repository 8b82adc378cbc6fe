package conformance

func pingCases() []testCase {
	return []testCase{
		{rule: "MQTT-3.12.4-1", name: "one PINGRESP", run: func(t *trial) {
			c := t.client()
			c.ping()
			c.send(subscribe(1, subscription{filter: t.topic("a")}))
			c.expect("SUBACK", suback(1, 0))
		}},
		{rule: "MQTT-3.12.4-1", name: "a PINGRESP for each PINGREQ in a segment", run: func(t *trial) {
			c := t.client()
			c.send(pingreq, pingreq, pingreq)
			for range 3 {
				c.expect("PINGRESP", pingresp)
			}
			c.send(subscribe(1, subscription{filter: t.topic("a")}))
			c.expect("SUBACK", suback(1, 0))
		}},
	}
}
