package main_test

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
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
	store := mqtt.NewMemoryStore()
	c := mqtt.NewClient(pahoOptions(on).SetStore(store))
	if err := pahoWait(c.Connect()); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	var tokens []mqtt.Token
	for _, m := range messages {
		tokens = append(tokens, c.Publish(m.Topic, m.QoS, m.Retain == 1, m.Payload))
	}
	for i, token := range tokens {
		if err := pahoWait(token); err != nil {
			return fmt.Errorf("publish to %s: %w", messages[i].Topic, err)
		}
	}
	if err := pahoWaitForAcknowledgements(store); err != nil {
		return err
	}
	c.Disconnect(pahoQuiesceMilliseconds)
	return nil
}

// pahoWaitForAcknowledgements returns when nothing is left in the store: after a reconnect the token of
// a message is complete as soon as that is sent again.
func pahoWaitForAcknowledgements(store mqtt.Store) error {
	for deadline := time.Now().Add(patience); len(store.All()) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("not acknowledged after %v: %v", patience, store.All())
		}
	}
	return nil
}

func pahoSubscribe(t *testing.T, on connection, qos byte, filters ...string) *subscription {
	t.Helper()
	s := newSubscription()
	var line pahoLine
	options := pahoOptions(on)
	options.SetDefaultPublishHandler(s.onPahoMessage)
	options.SetConnectionLostHandler(func(mqtt.Client, error) { s.setLost() })
	options.SetCustomOpenConnectionFn(line.open)
	c := mqtt.NewClient(options)
	connected := c.Connect()
	require.NoError(t, pahoWait(connected))
	t.Cleanup(func() { c.Disconnect(0) })
	s.cut = line.cut
	s.stop = func() { c.Disconnect(pahoQuiesceMilliseconds) }
	s.sessionPresent = connected.(*mqtt.ConnectToken).SessionPresent()
	if len(filters) == 0 {
		return s
	}

	wanted := make(map[string]byte)
	for _, filter := range filters {
		wanted[filter] = qos
	}
	token := c.SubscribeMultiple(wanted, nil)
	require.NoError(t, pahoWait(token))
	for _, filter := range filters {
		s.granted = append(s.granted, token.(*mqtt.SubscribeToken).Result()[filter])
	}
	return s
}

// pahoLine is where a client of Paho gets its connections from. Any goroutine may call its methods.
type pahoLine struct {
	mu    sync.Mutex
	conn  net.Conn // guarded by mu
	isCut bool     // guarded by mu
}

func (l *pahoLine) open(address *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.isCut {
		return nil, errors.New("the line is cut")
	}
	var err error
	l.conn, err = net.DialTimeout("tcp", address.Host, patience)
	return l.conn, err
}

// cut ends the connection, and there will be no other.
func (l *pahoLine) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isCut = true
	l.conn.Close()
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
		SetCleanSession(!on.persistent).
		SetAutoReconnect(on.persistent).
		SetMaxReconnectInterval(reconnectInterval)
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
