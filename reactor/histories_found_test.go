package reactor

import (
	"testing"

	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

// What TestHistories has found, each as small as it gets.

// The CONNACK comes first [MQTT-3.2.0-1] when a connection is taken over on the same loop, also if the
// input that was held meanwhile asks for retained messages and publishes what nobody reads at QoS 1.
func TestConnackBeforeRetainedAfterTakeover(t *testing.T) {
	s := start(t, func(c *Config) { c.Loops = 1 })
	old := connect(t, s, "id")
	old.send(codec.AppendPublish(nil, &codec.Publish{Topic: []byte("t"), Payload: []byte("retained"), Retain: true}))
	old.ping()

	c := dial(t, s)
	b := codec.AppendConnect(nil, &codec.Connect{Version: codec.Version311, CleanSession: true, ClientID: []byte("id")})
	b = codec.AppendSubscribe(b, 1, []codec.Subscription{{Filter: "t"}})
	b = codec.AppendPublish(b, &codec.Publish{Topic: []byte("nobody/reads"), QoS: codec.QoS1, PacketID: 2})
	c.send(b)
	require.Equal(t, codec.Accepted, c.expectConnack())
	require.Equal(t, codec.SUBACK, c.next().Type)
	require.Equal(t, codec.PUBACK, c.next().Type)
	require.Equal(t, "t retained", c.expectPublish())
}

// An UNSUBSCRIBE with a filter that breaks a rule ends the connection and no subscription: the client finds all of
// them when it comes back.
func TestIllegalUnsubscribeEndsNoSubscription(t *testing.T) {
	s := start(t, nil)
	persistent := func(p *codec.Connect) { p.CleanSession = false }
	c := connect(t, s, "id", persistent)
	c.subscribe("t")
	c.send(codec.AppendUnsubscribe(nil, 1, []string{"t", "t/+a"}))
	c.expectClosed()
	c = connect(t, s, "id", persistent)
	c.publish("t", "message")
	require.Equal(t, "t message", c.expectPublish())
}
