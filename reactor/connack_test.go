package reactor

import (
	"testing"

	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

// CONNACK is the first packet [MQTT-3.2.0-1], ahead of what the session has to be sent again, also when the Will of
// the connection before waits for the disk.
func TestConnackDoesNotWaitForTheWill(t *testing.T) {
	dir := t.TempDir()
	s := keptServer(t, dir)
	l := s.loops[0]
	heir := meet(t, l, "heir", persistent).subscribed(codec.QoS2, "wills")
	old := meet(t, l, "device", persistent, func(p *codec.Connect) {
		p.HasWill = true
		p.Will = codec.Will{Topic: []byte("wills"), Payload: []byte("gone"), QoS: codec.QoS2}
	}).subscribed(codec.QoS1, "a")
	meet(t, l, "publisher").send(above(codec.QoS1, 1, "a", "x"))
	require.Equal(t, []string{"PUBLISH 1 a x QoS 1"}, old.got())

	mend := fullDisk(t, dir)
	again := meet(t, l, "device", persistent)
	require.Equal(t, []string{"CONNACK present", "PUBLISH 1 a x QoS 1 DUP"}, again.got())
	again.send(codec.AppendPingreq(nil))
	require.Equal(t, []string{"PINGRESP"}, again.got())
	require.Empty(t, heir.got(), "the Will is not on disk")
	mend()
	eventually(t, "the Will", func() bool { settleAll(s); return heir.written.Len() > 0 })
	require.Equal(t, []string{"PUBLISH 1 wills gone QoS 2"}, heir.got())
	require.NoError(t, s.saveRest())
}
