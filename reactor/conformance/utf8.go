package conformance

// bomLevel is a Topic level that begins with U+FEFF.
const bomLevel = "\xEF\xBB\xBFlevel"

// illFormed lists strings that are not well-formed UTF-8.
var illFormed = []struct{ name, bytes string }{
	{"high surrogate", "a\xED\xA0\x80"},
	{"low surrogate", "a\xED\xBF\xBF"},
	{"surrogate pair", "\xED\xA0\x81\xED\xB0\x80"},
	{"overlong slash", "a\xC0\xAF"},
	{"overlong null", "a\xC0\x80"},
	{"overlong of three bytes", "\xE0\x80\xAF"},
	{"overlong of four bytes", "\xF0\x80\x80\xAF"},
	{"above U+10FFFF", "\xF4\x90\x80\x80"},
	{"five bytes", "\xF8\x88\x80\x80\x80"},
	{"lone continuation", "a\x80b"},
	{"sequence cut by the end", "a\xE2\x82"},
	{"sequence cut by a letter", "\xE2\x82a"},
	{"byte FF", "\xFF"},
}

// stringField is a place for a string in a packet that a connected client sends.
type stringField struct {
	name  string
	rule  string // statement that demands UTF-8 there
	build func(s string) []byte
}

var stringFields = []stringField{
	{"topic of PUBLISH", "MQTT-3.3.2-1", func(s string) []byte { return publish{topic: s}.packet() }},
	{"filter of SUBSCRIBE", "MQTT-3.8.3-1", func(s string) []byte { return subscribe(1, subscription{filter: s}) }},
	{"filter of UNSUBSCRIBE", "MQTT-3.10.3-1", func(s string) []byte { return unsubscribe(1, s) }},
}

// connectFields are the strings of CONNECT; the Client Identifier starts with id wherever it is not the field.
var connectFields = []struct {
	name  string
	rule  string
	build func(id, s string) []byte
}{
	{"Client Identifier", "MQTT-3.1.3-4", func(id, s string) []byte {
		return connect{id: id + s, cleanSession: true}.packet()
	}},
	{"Will Topic", "MQTT-3.1.3-10", func(id, s string) []byte {
		return connect{id: id, cleanSession: true, will: &publish{topic: id + s}}.packet()
	}},
	{"User Name", "MQTT-3.1.3-11", func(id, s string) []byte {
		return connect{id: id, cleanSession: true, userName: s}.packet()
	}},
}

func utf8Cases() []testCase {
	var cases []testCase
	refused := func(rule, name, also string, build func(t *trial) []byte) {
		cases = append(cases, testCase{rule: rule, name: name, also: []string{also}, run: func(t *trial) {
			c := t.client()
			c.trySend(build(t))
			c.expectClosed(name)
		}})
	}
	refusedConnect := func(rule, name, also string, build func(t *trial) []byte) {
		cases = append(cases, testCase{rule: rule, name: name, also: []string{also}, run: func(t *trial) {
			c := t.dial()
			c.trySend(build(t))
			c.expectClosed(name)
		}})
	}
	for _, bad := range illFormed {
		field := stringFields[0]
		refused("MQTT-1.5.3-1", bad.name+" in the "+field.name, field.rule, func(*trial) []byte {
			return field.build(bad.bytes)
		})
	}
	for _, field := range stringFields[1:] {
		for _, bad := range []int{0, 3} {
			refused("MQTT-1.5.3-1", illFormed[bad].name+" in a "+field.name, field.rule, func(*trial) []byte {
				return field.build(illFormed[bad].bytes)
			})
		}
	}
	for _, field := range connectFields {
		for _, bad := range []int{0, 3} {
			refusedConnect(field.rule, illFormed[bad].name+" in the "+field.name, "MQTT-1.5.3-1", func(t *trial) []byte {
				return field.build(t.newID(), illFormed[bad].bytes)
			})
		}
	}
	for _, field := range stringFields {
		refused("MQTT-1.5.3-2", "U+0000 in the "+field.name, "MQTT-4.7.3-2", func(*trial) []byte {
			return field.build("a\x00b")
		})
	}
	for _, field := range connectFields {
		refusedConnect("MQTT-1.5.3-2", "U+0000 in the "+field.name, field.rule, func(t *trial) []byte {
			return field.build(t.newID(), "a\x00b")
		})
	}
	return append(cases,
		testCase{rule: "MQTT-1.5.3-1", name: "every length of sequence is delivered as sent", run: func(t *trial) {
			topic := t.topic("\u007E\u0416\u20AC\uD7FF\uE000\U0002A6D4\U0010FFFD")
			c := t.subscriber(topic)
			c.publish(publish{topic: topic, payload: "x"})
			c.expectPublish(publish{topic: topic, payload: "x"})
		}},
		testCase{rule: "MQTT-1.5.3-3", name: "U+FEFF stays in a Topic Name", run: func(t *trial) {
			c := t.subscriber(t.topic("#"))
			for _, level := range []string{bomLevel, "a" + bomLevel, "a\xEF\xBB\xBF"} {
				c.publish(publish{topic: t.topic(level), payload: level})
				c.expectPublish(publish{topic: t.topic(level), payload: level})
			}
		}},
		testCase{rule: "MQTT-1.5.3-3", name: "U+FEFF at the very start of a Topic Name", run: func(t *trial) {
			topic := "\xEF\xBB\xBF" + t.topic("a")
			c := t.subscriber(topic, t.topic("a"))
			c.publish(publish{topic: topic, payload: "with"}, publish{topic: t.topic("a"), payload: "without"})
			c.expectPublish(publish{topic: topic, payload: "with"}, publish{topic: t.topic("a"), payload: "without"})
		}},
		testCase{
			rule: "MQTT-1.5.3-3", name: "U+FEFF tells filters apart",
			also: []string{"MQTT-4.7.3-4"}, run: func(t *trial) {
				c := t.subscriber(t.topic(bomLevel))
				c.publish(publish{topic: t.topic("level"), payload: "without"}, publish{topic: t.topic(bomLevel), payload: "with"})
				c.expectPublish(publish{topic: t.topic(bomLevel), payload: "with"})
			}},
	)
}
