package main_test

import (
	"os"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/stretchr/testify/require"
)

func TestPahoReconnectsAfterARestart(t *testing.T) {
	b := startBroker(t)
	if b.process == nil {
		t.Skip("a broker that the test did not start is not its to restart")
	}
	topic := freshTopic(t)
	s := newSubscription()
	subscribed := make(chan error, 2)
	options := pahoOptions(b.connect()).
		SetAutoReconnect(true).
		SetMaxReconnectInterval(100 * time.Millisecond).
		SetDefaultPublishHandler(s.onPahoMessage).
		SetConnectionLostHandler(func(mqtt.Client, error) { s.setLost() }).
		SetOnConnectHandler(func(c mqtt.Client) { subscribed <- pahoWait(c.Subscribe(topic, 0, nil)) })
	c := mqtt.NewClient(options)
	require.NoError(t, pahoWait(c.Connect()))
	defer c.Disconnect(0)
	require.NoError(t, await(t, subscribed, "the first subscription"))

	b.stop(t)
	await(t, s.lost, "the connection to end")
	b = startBrokerAt(t, b.port)

	require.NoError(t, await(t, subscribed, "the subscription after the restart"))
	require.NoError(t, paho.publish(b.connect(), message{Topic: topic, Payload: "back again"}))
	require.Equal(t, "back again", s.next(t).Payload)
}

// What waits for clients that are away is there after the broker was stopped and started again.
func TestClientsSessionsOutliveTheBroker(t *testing.T) {
	if os.Getenv(brokerVariable) != "" {
		t.Skip("a broker that the test did not start is not its to restart")
	}
	dataFolder := t.TempDir()
	b := startBrokerAt(t, freePort(t), "-data-dir", dataFolder)
	type absence struct {
		client client
		on     connection
		topic  string
		missed []message
	}
	var absences []absence
	for _, c := range clients {
		c.require(t)
		away := absence{client: c, on: b.connect(), topic: freshTopic(t)}
		away.on.persistent = true
		c.subscribe(t, away.on, 2, away.topic+"/+").stop()
		away.missed = publishWhileAway(t, b, c, away.topic, "missed")
		absences = append(absences, away)
	}
	b.stop(t)
	b = startBrokerAt(t, b.port, "-data-dir", dataFolder)
	for _, away := range absences {
		back := away.client.resume(t, away.on, 2, away.topic+"/+")
		for _, m := range away.missed {
			require.Equal(t, m, back.next(t), away.client.name)
		}
		live := message{Topic: away.topic + "/live", Payload: "live", QoS: 2}
		require.NoError(t, away.client.publish(b.connect(), live))
		require.Equal(t, live, back.next(t), away.client.name)
	}
}
