package main_test

import (
	"fmt"
	"net"
	"net/url"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/stretchr/testify/require"
)

var paho = client{
	name:      "Paho Go",
	require:   func(*testing.T) {},
	publish:   pahoPublish,
	subscribe: pahoSubscribe,
}

func pahoPublish(on connection, messages ...message) error {
	c := mqtt.NewClient(pahoOptions(on))
	if err := pahoWait(c.Connect()); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	for _, m := range messages {
		if err := pahoWait(c.Publish(m.Topic, m.QoS, m.Retain == 1, m.Payload)); err != nil {
			return fmt.Errorf("publish to %s: %w", m.Topic, err)
		}
	}
	c.Disconnect(pahoQuiesceMilliseconds)
	return nil
}

func pahoSubscribe(t *testing.T, on connection, qos byte, filters ...string) *subscription {
	t.Helper()
	s := newSubscription()
	var conn net.Conn
	options := pahoOptions(on)
	options.SetDefaultPublishHandler(s.onPahoMessage)
	options.SetConnectionLostHandler(func(mqtt.Client, error) { s.setLost() })
	options.SetCustomOpenConnectionFn(func(address *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
		var err error
		conn, err = net.DialTimeout("tcp", address.Host, patience)
		return conn, err
	})
	c := mqtt.NewClient(options)
	require.NoError(t, pahoWait(c.Connect()))
	t.Cleanup(func() { c.Disconnect(0) })

	wanted := make(map[string]byte)
	for _, filter := range filters {
		wanted[filter] = qos
	}
	token := c.SubscribeMultiple(wanted, nil)
	require.NoError(t, pahoWait(token))
	for _, filter := range filters {
		s.granted = append(s.granted, token.(*mqtt.SubscribeToken).Result()[filter])
	}
	s.cut = func() { conn.Close() }
	s.stop = func() { c.Disconnect(pahoQuiesceMilliseconds) }
	return s
}

func (s *subscription) onPahoMessage(_ mqtt.Client, m mqtt.Message) {
	received := message{Topic: m.Topic(), Payload: string(m.Payload()), QoS: m.Qos()}
	if m.Retained() {
		received.Retain = 1
	}
	s.receive(received)
}

// pahoQuiesceMilliseconds is how long Paho may take to send what it still holds (chosen).
const pahoQuiesceMilliseconds = 250

func pahoOptions(on connection) *mqtt.ClientOptions {
	options := mqtt.NewClientOptions().
		AddBroker("tcp://" + net.JoinHostPort(on.host, on.port)).
		SetClientID(on.clientID).
		SetProtocolVersion(uint(on.version)).
		SetKeepAlive(time.Duration(on.keepAliveSeconds) * time.Second).
		SetAutoReconnect(false)
	if on.will != nil {
		options.SetWill(on.will.Topic, on.will.Payload, on.will.QoS, on.will.Retain == 1)
	}
	return options
}

func pahoWait(token mqtt.Token) error {
	if !token.WaitTimeout(patience) {
		return fmt.Errorf("not complete after %v", patience)
	}
	return token.Error()
}
