package main_test

import (
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
