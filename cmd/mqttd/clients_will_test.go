package main_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// A Will comes at its QoS, once, when a connection breaks and not when it is closed; retained, who
// subscribes later sees it [MQTT-3.1.2-8], [MQTT-3.1.2-10], [MQTT-3.1.2-16], [MQTT-3.1.2-17].
func seeWill(t *testing.T, b *broker, c client) {
	for qos := range byte(3) {
		t.Run(fmt.Sprint("QoS ", qos), func(t *testing.T) {
			topic, end := freshTopic(t), message{Topic: freshTopic(t) + "/end"}
			watcher := c.subscribe(t, b.connect(), 2, topic, end.Topic)

			polite := b.connect()
			polite.will = &message{Topic: topic, Payload: "said goodbye", QoS: qos}
			c.subscribe(t, polite, 0, topic+"/unused").stop()

			doomed := b.connect()
			doomed.will = &message{Topic: topic, Payload: "was cut off", QoS: qos}
			c.subscribe(t, doomed, 0, topic+"/unused").cut()
			require.Equal(t, *doomed.will, watcher.next(t))

			retaining := b.connect()
			retaining.will = &message{Topic: topic, Payload: "offline", QoS: qos, Retain: 1}
			c.subscribe(t, retaining, 0, topic+"/unused").cut()
			require.Equal(t, message{Topic: topic, Payload: "offline", QoS: qos}, watcher.next(t))

			late := c.subscribe(t, b.connect(), 2, topic)
			require.Equal(t, *retaining.will, late.next(t))
			requireNothingBefore(t, c, b, end, []*subscription{watcher})
		})
	}
}
