package main_test

import (
	"encoding/json"
	"testing"
)

// subscribeWithScript starts a script that subscribes and tells what it sees, one JSON object a line.
func subscribeWithScript(t *testing.T, script []string, argument string) *subscription {
	t.Helper()
	s := newSubscription()
	granted := make(chan []byte, 1)
	subscribed := false
	onLine := func(line []byte) {
		var event struct {
			Message        *message
			Lost           bool
			Granted        []int
			SessionPresent bool
		}
		err := json.Unmarshal(line, &event)
		switch {
		case err != nil:
			t.Errorf("%s: %v: %.80s", script[1], err, line)
		case event.Message != nil:
			s.receive(*event.Message)
		case event.Lost:
			s.setLost()
		case !subscribed: // not when it has connected again
			subscribed = true
			s.sessionPresent = event.SessionPresent
			granted <- toBytes(event.Granted)
		}
	}
	s.run(t, granted, onLine, script[0], append(script[1:], argument)...)
	return s
}

func toJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // the tests' own values can be encoded
	}
	return string(text)
}

func toBytes(numbers []int) []byte {
	var values []byte
	for _, number := range numbers {
		values = append(values, byte(number))
	}
	return values
}
