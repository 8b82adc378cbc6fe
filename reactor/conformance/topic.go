package conformance

import "strings"

// matches lists which topics a filter matches. In both, the first level is the trial's own.
var matches = []struct {
	rule   string
	filter string
	yes    string // topics separated by spaces; ~ stands for a space within one
	no     string
}{
	{"section-4.7", "sport/tennis/player1/#", "sport/tennis/player1 sport/tennis/player1/ranking sport/tennis/player1/score/wimbledon",
		"sport/tennis/player2 sport/tennis sport/tennis/player10"},
	{"section-4.7", "sport/#", "sport sport/ sport/a sport/a/b", "sports Sport a/sport"},
	{"section-4.7", "sport/tennis/+", "sport/tennis/player1 sport/tennis/player2 sport/tennis/",
		"sport/tennis sport/tennis/player1/ranking"},
	{"section-4.7", "sport/+", "sport/ sport/a", "sport sport/a/b sport//"},
	{"section-4.7", "+/+", "/finance a/b / a/", "finance a/b/c"},
	{"section-4.7", "/+", "/finance /", "finance /a/b"},
	{"section-4.7", "+", "finance", "/finance finance/"},
	{"section-4.7", "+/tennis/#", "a/tennis a/tennis/b /tennis", "tennis a/b/tennis"},
	{"MQTT-4.7.1-2", "#", "a a/b /a / a/b/c/d/e/f/g/h", ""},
	{"MQTT-4.7.1-2", "a/#", "a a/b a/b/c a/", "b ab /a"},
	{"MQTT-4.7.1-2", "/#", "/ /a /a/b", "a"},
	{"MQTT-4.7.1-3", "+/b", "a/b /b b/b", "b a/b/c a/c"},
	{"MQTT-4.7.1-3", "a/+/c", "a/b/c a//c", "a/c a/b/b/c a/b/d"},
	{"MQTT-4.7.1-3", "+/+/+", "a/b/c // /b/", "a/b a/b/c/d"},
	{"MQTT-4.7.1-3", "a/+/+/#", "a/b/c a/b/c/d a//", "a/b a"},
	{"MQTT-4.7.3-4", "a", "a", "A /a a/ a~ ~a"},
	{"MQTT-4.7.3-4", "ACCOUNTS", "ACCOUNTS", "Accounts accounts"},
	{"MQTT-4.7.3-4", "Accounts~payable", "Accounts~payable", "Accounts accountspayable Accounts~~payable"},
	{"MQTT-4.7.3-4", "a//b", "a//b", "a/b a///b"},
	{"MQTT-4.7.3-4", "/a", "/a", "a //a /a/"},
	{"MQTT-4.7.3-4", "a/", "a/", "a a//"},
	{"MQTT-4.7.3-4", "a/../b", "a/../b", "b a/b"},
	{"MQTT-4.7.3-4", "%41", "%41", "A"},
	{"MQTT-4.7.3-4", "caf\u00E9", "caf\u00E9", "cafe\u0301 cafe CAF\u00C9"},
	{"MQTT-4.7.3-4", "\u212B", "\u212B", "\u00C5 A\u030A"},
	{"MQTT-4.7.3-4", "*", "*", "a *a"},
	{"MQTT-4.7.3-4", "a$b", "a$b", "a"},
	{"MQTT-4.7.3-4", "a/$b/+", "a/$b/c", "a/b/c"},
	{"MQTT-4.7.3-4", "+/$b", "a/$b", "a/b"},
}

func topicCases() []testCase {
	var cases []testCase
	for _, m := range matches {
		name := "filter " + strings.ReplaceAll(inName(m.filter), "~", " ")
		cases = append(cases, testCase{rule: m.rule, name: name, run: func(t *trial) { t.match(m.filter, m.yes, m.no) }})
	}
	for _, filter := range []string{"a#", "a/#/b", "#/a", "##", "a/b#", "#a"} {
		cases = append(cases, invalidFilter("MQTT-4.7.1-2", filter))
	}
	for _, filter := range []string{"a+", "+a", "a/+b", "a/b+/c", "++", "+#"} {
		cases = append(cases, invalidFilter("MQTT-4.7.1-3", filter))
	}
	cases = append(cases, emptyTopicCases()...)
	return append(cases, dollarTopicCases()...)
}

// match checks which topics reach subscribers of filter, one at each QoS. A marker is published after those that must
// not match, so that silence is seen.
func (t *trial) match(filter, yes, no string) {
	spaces := func(s string) string { return t.topic(strings.ReplaceAll(s, "~", " ")) }
	by := t.client()
	var readers []*client
	for qos := range byte(3) {
		readers = append(readers, t.subscriberAt(qos, spaces(filter)))
	}
	for _, topic := range strings.Fields(yes) {
		m := publish{topic: spaces(topic), payload: "matches " + topic, qos: 2}
		by.give(m)
		for qos, c := range readers {
			c.take(t.sent(m, byte(qos)))
		}
	}
	for _, topic := range strings.Fields(no) {
		by.give(publish{topic: spaces(topic), payload: "does not match " + topic, qos: 2})
	}
	for _, c := range readers {
		c.expectSilence(by)
	}
}

func invalidFilter(rule, filter string) testCase {
	return testCase{rule: rule, name: "filter " + inName(filter), also: []string{"MQTT-4.8.0-1"}, run: func(t *trial) {
		c := t.client()
		c.trySend(subscribe(1, subscription{filter: filter}))
		c.expectClosed("filter " + filter)
	}}
}

func emptyTopicCases() []testCase {
	var cases []testCase
	for _, empty := range stringFields {
		cases = append(cases, testCase{
			rule: "MQTT-4.7.3-1", name: "empty " + empty.name,
			also: []string{"MQTT-4.8.0-1"}, run: func(t *trial) {
				c := t.client()
				c.trySend(empty.build(""))
				c.expectClosed("an empty " + empty.name)
			}})
	}
	return append(cases,
		testCase{rule: "MQTT-4.7.3-1", name: "empty Will Topic", also: []string{"MQTT-3.1.4-1"}, run: func(t *trial) {
			c := t.dial()
			c.trySend(connect{id: t.newID(), cleanSession: true, will: &publish{payload: "gone"}}.packet())
			c.expectClosed("an empty Will Topic")
		}},
		testCase{
			rule: "MQTT-4.7.1-1", name: "wildcard in the Will Topic",
			also: []string{"MQTT-3.1.4-1"}, run: func(t *trial) {
				c := t.dial()
				c.trySend(connect{id: t.newID(), cleanSession: true, will: &publish{topic: t.topic("#"), payload: "gone"}}.packet())
				c.expectClosed("a wildcard in the Will Topic")
			}},
	)
}

func dollarTopicCases() []testCase {
	return []testCase{
		{rule: "MQTT-4.7.2-1", name: "#", run: func(t *trial) {
			c := t.client()
			c.only = t.token
			c.subscribe("#")
			by := t.client()
			by.publish(publish{topic: "$" + t.token + "/a", payload: "hidden"}, publish{topic: t.topic("a"), payload: "seen"})
			c.expectPublish(publish{topic: t.topic("a"), payload: "seen"})
		}},
		{rule: "MQTT-4.7.2-1", name: "# does not match $SYS", run: func(t *trial) {
			c := t.client()
			c.only = "$SYS"
			c.subscribe("#", "+/broker/version", "+/#")
			c.ping()
		}},
		{rule: "MQTT-4.7.2-1", name: "+", run: func(t *trial) {
			c := t.subscriber("+/"+t.token, "+/"+t.token+"/#", "+/+/"+t.token)
			by := t.client()
			by.publish(publish{topic: "$a/" + t.token, payload: "hidden"},
				publish{topic: "$a/" + t.token + "/b", payload: "hidden"},
				publish{topic: "$a/b/" + t.token, payload: "hidden"}, publish{topic: "a/" + t.token, payload: "seen"})
			c.expectPublish(publish{topic: "a/" + t.token, payload: "seen"})
			c.expectSilence(by)
		}},
		{rule: "MQTT-4.7.2-1", name: "+ alone", run: func(t *trial) {
			c := t.client()
			c.only = t.token
			c.subscribe("+")
			by := t.client()
			by.publish(publish{topic: "$" + t.token, payload: "hidden"}, publish{topic: t.token, payload: "seen"})
			c.expectPublish(publish{topic: t.token, payload: "seen"})
		}},
		{rule: "section-4.7", name: "# alone matches a topic of one level and of many", run: func(t *trial) {
			c := t.client()
			c.only = t.token
			c.subscribe("#")
			for _, topic := range []string{t.token, "/" + t.token, t.token + "/", "a/b/c/" + t.token} {
				c.publish(publish{topic: topic, payload: "x"})
				c.expectPublish(publish{topic: topic, payload: "x"})
			}
		}},
	}
}

// inName shows a topic in a case's name, where a slash would begin a level of subtests.
func inName(topic string) string { return strings.ReplaceAll(topic, "/", "|") }
