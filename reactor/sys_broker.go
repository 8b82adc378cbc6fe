package reactor

import (
	"fmt"
	"runtime/metrics"
	"strconv"
	"time"
)

// brokerValues returns what is published on $SYS/broker/. What Mosquitto means by a name is in mosquitto(8).
//
// Left out is publish/bytes/sent: the size of payloads is not known any more where they are sent.
func (t *sysTree) brokerValues(st *Stats, now time.Time) []sysValue {
	t.clientsMax = max(t.clientsMax, st.Clients)
	t.heap.read()
	var values []sysValue
	text := func(topic, payload string) {
		values = append(values, sysValue{sysTopic("broker", topic), payload})
	}
	number := func(n uint64, topics ...string) {
		for _, topic := range topics {
			text(topic, strconv.FormatUint(n, 10))
		}
	}
	text("version", "mqttd version "+t.server.config.Version)
	text("uptime", fmt.Sprintf("%d seconds", int64(now.Sub(t.started).Seconds())))

	number(uint64(st.Clients+st.Sessions), "clients/total")
	number(uint64(st.Clients), "clients/connected", "clients/active")
	number(uint64(t.clientsMax), "clients/maximum")
	number(uint64(st.Sessions), "clients/disconnected", "clients/inactive")
	number(st.SessionsEvicted+st.SessionsExpired, "clients/expired")
	number(st.Accepted+st.RefusedSockets, "connections/socket/count") // since the start

	number(uint64(st.Subscriptions), "subscriptions/count")
	number(0, "shared_subscriptions/count")
	number(uint64(st.Retained), "retained messages/count")
	number(uint64(st.Retained+st.StoredMessages), "messages/stored", "store/messages/count")
	number(uint64(st.RetainedBytes+st.QueueBytes), "store/messages/bytes") // Mosquitto counts payloads only
	number(uint64(st.QueuedMessages), "messages/inflight")                 // those that wait to be sent, too

	number(st.PacketsReceived, "messages/received")
	number(st.PacketsSent, "messages/sent")
	number(st.Publishes(), "publish/messages/received")
	number(st.PublishesSent(), "publish/messages/sent")
	total := st.Total()
	number(total.Dropped.Total(), "publish/messages/dropped")
	number(st.PublishBytesReceived, "publish/bytes/received") // payloads
	number(st.BytesReceived, "bytes/received")
	number(st.BytesSent, "bytes/sent")
	number(uint64(st.WaitingMessages), "packet/out/count")
	number(uint64(st.WaitingBytes), "packet/out/bytes")

	number(t.heap.current, "heap/current")
	number(t.heap.maximum, "heap/maximum")
	t.loads.advance(st, now.Sub(t.started))
	t.loads.each(text)
	return values
}

// heapGauge measures the memory that objects on the heap take, garbage included, without stopping the
// program.
type heapGauge struct{ current, maximum uint64 }

func (g *heapGauge) read() {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	g.current = sample[0].Value.Uint64()
	g.maximum = max(g.maximum, g.current)
}
