package main_test

import (
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What people's scripts do with Mosquitto's tools.

// A script reads one message and goes on: mosquitto_sub -C 1 -W seconds.
func TestMosquittoSubEndsAfterItsMessage(t *testing.T) {
	mosquitto.require(t)
	b := startBroker(t)
	for qos := range byte(3) {
		t.Run(fmt.Sprint("QoS ", qos), func(t *testing.T) {
			topic := freshTopic(t)
			_, sub := mosquittoSub(t, b.connect(), "-C", "1", "-W", longTimeout(), "-q", fmt.Sprint(qos), "-t", topic)
			require.NoError(t, mosquitto.publish(b.connect(), message{Topic: topic, Payload: "the only one", QoS: qos}))
			await(t, sub.exited, "mosquitto_sub to end, long before its own time-out")
			require.Equal(t, 0, sub.cmd.ProcessState.ExitCode())
		})
	}
}

// longTimeout is for -W: longer than a test waits.
func longTimeout() string {
	return fmt.Sprint(int(2 * patience / time.Second))
}

func TestMosquittoSubTimesOut(t *testing.T) {
	const timedOut = 27 // exit code
	mosquitto.require(t)
	b := startBroker(t)
	_, sub := mosquittoSub(t, b.connect(), "-C", "1", "-W", "1", "-q", "2", "-t", freshTopic(t))
	await(t, sub.exited, "mosquitto_sub to give up")
	require.Equal(t, timedOut, sub.cmd.ProcessState.ExitCode())
}

// A script leaves a session behind (-E), and fetches what has come since: mosquitto_sub -c -i name.
func TestMosquittoSubFetchesWhatItMissed(t *testing.T) {
	const missed = 100
	mosquitto.require(t)
	b := startBroker(t)
	for qos := byte(1); qos <= 2; qos++ {
		t.Run(fmt.Sprint("QoS ", qos), func(t *testing.T) {
			topic := freshTopic(t)
			on := b.connect()
			on.persistent = true
			subscribe := append(mosquittoArguments(on), "-q", fmt.Sprint(qos), "-t", topic)
			require.NoError(t, runProgram("", "mosquitto_sub", append(subscribe, "-E")...))

			messages, _ := burstOf(topic, missed, qos)
			require.NoError(t, publishLines(b.connect(), messages))
			var want, got []string
			for _, m := range messages {
				want = append(want, fmt.Sprint(m.QoS, " ", m.Payload))
			}
			onLine := func(line []byte) { got = append(got, string(line)) }
			sub := startProcess(t, onLine, "mosquitto_sub", append(subscribe, "-C", fmt.Sprint(missed), "-F", "%q %p")...)
			await(t, sub.exited, "mosquitto_sub to end")
			require.Equal(t, want, got)
			require.Equal(t, 0, sub.cmd.ProcessState.ExitCode())
		})
	}
}

// A retained message is there for a script that comes later, and -R leaves it out.
func TestMosquittoSubTellsRetainedMessages(t *testing.T) {
	mosquitto.require(t)
	b := startBroker(t)
	topic := freshTopic(t)
	stale := message{Topic: topic, Payload: "stale", QoS: 1, Retain: 1}
	require.NoError(t, mosquitto.publish(b.connect(), stale))
	all, _ := mosquittoSub(t, b.connect(), "-q", "2", "-t", topic)
	fresh, _ := mosquittoSub(t, b.connect(), "-q", "2", "-t", topic, "-R")
	require.NoError(t, mosquitto.publish(b.connect(), message{Topic: topic, Payload: "live", QoS: 2}))
	require.Equal(t, []string{"stale", "live"}, all.nextPayloads(t, 2))
	require.Equal(t, []string{"live"}, fresh.nextPayloads(t, 1))
}

// mosquitto_rr subscribes to the topic of the response, publishes the request, and ends with the answer.
func TestMosquittoRRGetsItsResponse(t *testing.T) {
	mosquitto.require(t)
	requireProgram(t, "mosquitto_rr", "mosquitto-clients")
	b := startBroker(t)
	for qos := range byte(3) {
		t.Run(fmt.Sprint("QoS ", qos), func(t *testing.T) {
			request, response := freshTopic(t)+"/request", freshTopic(t)+"/response"
			service := mosquitto.subscribe(t, b.connect(), 2, request)
			answers := make(chan []byte, 1)
			arguments := append(mosquittoArguments(b.connect()), "-q", fmt.Sprint(qos), "-W", longTimeout(),
				"-t", request, "-e", response, "-m", "time?")
			go func() {
				output, _ := exec.Command("mosquitto_rr", arguments...).CombinedOutput()
				answers <- output
			}()
			require.Equal(t, message{Topic: request, Payload: "time?", QoS: qos}, service.next(t))
			require.NoError(t, mosquitto.publish(b.connect(), message{Topic: response, Payload: "noon", QoS: qos}))
			require.Equal(t, "noon\n", string(await(t, answers, "mosquitto_rr to end")))
		})
	}
}
