package main_test

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
)

var mosquitto = client{
	name: "mosquitto",
	require: func(t *testing.T) {
		requireProgram(t, "mosquitto_pub", "mosquitto-clients")
		requireProgram(t, "mosquitto_sub", "mosquitto-clients")
		requireProgram(t, "stdbuf", "coreutils")
	},
	publish:   mosquittoPublish,
	subscribe: mosquittoSubscribe,
}

// mosquittoPublish starts one mosquitto_pub per message.
func mosquittoPublish(on connection, messages ...message) error {
	for _, m := range messages {
		arguments := []string{"-t", m.Topic, "-q", strconv.Itoa(int(m.QoS)), "-s"}
		if m.Payload == "" {
			arguments[len(arguments)-1] = "-n"
		}
		if m.Retain == 1 {
			arguments = append(arguments, "-r")
		}
		if err := mosquittoPub(on, m.Payload, arguments...); err != nil {
			return err
		}
	}
	return nil
}

func mosquittoPub(on connection, stdin string, arguments ...string) error {
	return runProgram(stdin, "mosquitto_pub", append(mosquittoArguments(on), arguments...)...)
}

// mosquittoSubscribe starts a mosquitto_sub that writes messages as JSON, and waits for the line
// that tells of the SUBACK.
func mosquittoSubscribe(t *testing.T, on connection, qos byte, filters ...string) *subscription {
	t.Helper()
	arguments := []string{"-q", strconv.Itoa(int(qos))}
	for _, filter := range filters {
		arguments = append(arguments, "-t", filter)
	}
	s, _ := mosquittoSub(t, on, arguments...)
	return s
}

func mosquittoSub(t *testing.T, on connection, arguments ...string) (*subscription, *process) {
	t.Helper()
	s := newSubscription()
	granted := make(chan []byte, 1)
	connects := 0
	onLine := func(line []byte) {
		grants, subscribed := bytes.CutPrefix(line, []byte("Subscribed (mid: "))
		switch {
		case bytes.HasPrefix(line, []byte("{")):
			s.receive(mosquittoMessage(t, line))
		case subscribed && connects == 1:
			granted <- mosquittoGrants(grants)
		case bytes.HasSuffix(line, []byte("sending CONNECT")):
			// mosquitto_sub says nothing of a lost connection, but connects again.
			if connects++; connects > 1 {
				s.setLost()
			}
		}
	}
	// Left to itself mosquitto_sub keeps its lines back when it writes to a pipe.
	command := append([]string{"-oL", "mosquitto_sub", "-d", "-F", "%j"}, mosquittoArguments(on)...)
	return s, s.run(t, granted, onLine, "stdbuf", append(command, arguments...)...)
}

func mosquittoArguments(on connection) []string {
	arguments := []string{
		"-h", on.host, "-p", on.port, "-i", on.clientID, "-k", strconv.Itoa(on.keepAliveSeconds),
		"-V", map[byte]string{3: "mqttv31", 4: "mqttv311"}[on.version],
	}
	if on.will != nil {
		arguments = append(arguments, "--will-topic", on.will.Topic, "--will-payload", on.will.Payload)
	}
	return arguments
}

func mosquittoMessage(t *testing.T, line []byte) message {
	var m message
	if err := json.Unmarshal(line, &m); err != nil {
		t.Errorf("mosquitto_sub: %v: %.80s", err, line)
	}
	return m
}

// mosquittoGrants reads the end of a line such as "Subscribed (mid: 1): 0, 128".
func mosquittoGrants(rest []byte) []byte {
	_, list, _ := strings.Cut(string(rest), "): ")
	var grants []byte
	for _, field := range strings.Split(list, ", ") {
		grant, _ := strconv.Atoi(field)
		grants = append(grants, byte(grant))
	}
	return grants
}
