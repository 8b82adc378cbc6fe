package main_test

import (
	"fmt"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/stretchr/testify/require"
)

// A program with a file store ends between two packets of an exchange, and the one that is started next
// completes it: the message comes once.
func TestPahoCompletesWhatIsInItsFileStore(t *testing.T) {
	b := startBroker(t)
	for _, cut := range []packetKind{{true, packets.Publish}, {false, packets.Pubrec}, {true, packets.Pubrel}} {
		t.Run(fmt.Sprint("cut in place of ", cut), func(t *testing.T) {
			line := startCutter(t, b)
			topic := freshTopic(t)
			end := message{Topic: topic + "/end"}
			watcher := paho.subscribe(t, b.connect(), 2, topic, end.Topic)
			on := b.connect()
			on.persistent = true
			folder := t.TempDir()

			var wire pahoLine
			first := mqtt.NewClient(pahoOptions(line.through(on)).
				SetStore(mqtt.NewFileStore(folder)).
				SetAutoReconnect(false).
				SetCustomOpenConnectionFn(wire.open))
			require.NoError(t, pahoWait(first.Connect()))
			line.cutAt(cut)
			first.Publish(topic, 2, false, "once")
			line.awaitPassed(t, packetKind{true, packets.Connect}, 1) // and the cut
			wire.cut()
			first.Disconnect(0)

			store := mqtt.NewFileStore(folder)
			second := mqtt.NewClient(pahoOptions(on).SetStore(store))
			require.NoError(t, pahoWait(second.Connect()))
			defer second.Disconnect(0)
			require.NoError(t, pahoWaitForAcknowledgements(store))
			require.Equal(t, message{Topic: topic, Payload: "once", QoS: 2}, watcher.next(t))
			requireNothingBefore(t, paho, b, end, []*subscription{watcher})
		})
	}
}
