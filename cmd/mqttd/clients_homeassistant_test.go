package main_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	discoveredEntities  = 3200 // chosen: a house with hundreds of devices, ten entities each
	filtersPerSubscribe = 500  // Home Assistant's limit
	stateBurst          = 800  // chosen: what a broker queues for one client, Mosquitto and this one 1,000, is more
	statusTopic         = "homeassistant/status"
)

// homeAssistant is the program that talks as Home Assistant does.
type homeAssistant struct {
	*process
	granted  chan []int   // of each SUBSCRIBE
	messages chan message // in the order of arrival
}

// Home Assistant starts beside thousands of retained discovery messages, ends in both ways, and starts
// again. Each time it sees every one of them once, and then all state traffic; devices see it come and go.
func TestHomeAssistant(t *testing.T) {
	mqttjs.require(t)
	b := startBroker(t)
	discovery, states := entities()
	require.NoError(t, mqttjs.publish(b.connect(), discovery...))
	t.Cleanup(func() { clearRetained(t, b, discovery) })
	devices := paho.subscribe(t, b.connect(), 1, statusTopic)
	for qos := range byte(3) { // can be chosen since 2026; 0 before
		t.Run(fmt.Sprint("QoS ", qos), func(t *testing.T) {
			h := startHomeAssistant(t, b, qos)
			require.Equal(t, message{Topic: statusTopic, Payload: "online"}, devices.next(t))
			h.requireDiscovered(t, discovery, qos)
			for burst := range slices.Chunk(states, stateBurst) {
				require.NoError(t, paho.publish(b.connect(), burst...))
				h.requireStates(t, burst, qos)
			}
			h.kill()
			require.Equal(t, message{Topic: statusTopic, Payload: "offline"}, devices.next(t), "the Will")

			h = startHomeAssistant(t, b, qos)
			require.Equal(t, message{Topic: statusTopic, Payload: "online"}, devices.next(t))
			h.requireDiscovered(t, discovery, qos)
			h.terminate(t)
			require.Equal(t, message{Topic: statusTopic, Payload: "offline"}, devices.next(t), "no Will")
		})
	}
	requireNothingBefore(t, paho, b, message{Topic: statusTopic, Payload: "end"}, []*subscription{devices})
}

// entities returns discovery messages, with and without a node in their topic, and a state for each.
func entities() (discovery, states []message) {
	for i := range discoveredEntities {
		object := fmt.Sprintf("0x00158d00%08x", i)
		topic := []string{
			"homeassistant/sensor/" + object + "/temperature/config",
			"homeassistant/binary_sensor/" + object + "/config",
		}[i%2]
		state := "house/" + object + "/state"
		payload := toJSON(map[string]any{
			"name": "Temperature", "unique_id": object, "object_id": object, "state_topic": state,
			"availability":   []map[string]string{{"topic": "house/bridge/state"}, {"topic": "house/" + object + "/availability"}},
			"value_template": "{{ value_json.temperature }}", "unit_of_measurement": "°C", "state_class": "measurement",
			"device": map[string]any{"identifiers": []string{object}, "manufacturer": "LUMI", "model": "WSDCGQ11LM", "name": object},
		})
		discovery = append(discovery, message{Topic: topic, Payload: payload, QoS: 1, Retain: 1})
		states = append(states, message{Topic: state, Payload: fmt.Sprintf(`{"temperature":%d}`, i), QoS: byte(i % 3)})
	}
	return discovery, states
}

// clearRetained leaves the broker as it was, should it be one that goes on.
func clearRetained(t *testing.T, b *broker, messages []message) {
	cleared := slices.Clone(messages)
	for i := range cleared {
		cleared[i].Payload = ""
	}
	require.NoError(t, mqttjs.publish(b.connect(), cleared...))
}

func startHomeAssistant(t *testing.T, b *broker, qos byte) *homeAssistant {
	t.Helper()
	h := &homeAssistant{granted: make(chan []int, 100), messages: make(chan message, 3*discoveredEntities)}
	onLine := func(line []byte) {
		var event struct {
			Message *message
			Granted []int
		}
		switch err := json.Unmarshal(line, &event); {
		case err != nil:
			t.Errorf("homeassistant.mjs: %v: %.80s", err, line)
		case event.Message != nil:
			h.messages <- *event.Message
		default:
			h.granted <- event.Granted
		}
	}
	h.process = startProcess(t, onLine, "node", filepath.Join(mqttjsFolder, "homeassistant.mjs"), toJSON(map[string]any{
		"connection": mqttjsConnection(b.connect()), "qos": qos, "entities": discoveredEntities,
	}))
	return h
}

// requireDiscovered checks that every discovery message came once, as a retained one, and that all
// subscriptions were granted as asked.
func (h *homeAssistant) requireDiscovered(t *testing.T, discovery []message, qos byte) {
	t.Helper()
	var discovered []message
	for range discovery {
		discovered = append(discovered, await(t, h.messages, "a discovery message"))
	}
	byTopic := func(x, y message) int { return strings.Compare(x.Topic, y.Topic) }
	slices.SortFunc(discovered, byTopic)
	want := slices.SortedFunc(slices.Values(discovery), byTopic)
	for i, m := range want {
		m.QoS = min(m.QoS, qos)
		require.Equal(t, m, discovered[i])
	}
	for _, filters := range []int{1, 1} {
		h.requireGranted(t, filters, qos)
	}
	for left := len(discovery); left > 0; left -= filtersPerSubscribe {
		h.requireGranted(t, min(left, filtersPerSubscribe), qos)
	}
}

func (h *homeAssistant) requireGranted(t *testing.T, filters int, qos byte) {
	t.Helper()
	require.Equal(t, slices.Repeat([]int{int(qos)}, filters), await(t, h.granted, "a SUBACK"))
}

// requireStates checks that all states came once, in order among those that were published at one QoS,
// and that no discovery message came a second time.
func (h *homeAssistant) requireStates(t *testing.T, states []message, qos byte) {
	t.Helper()
	var want, got [3][]message
	publishedAt := make(map[string]byte)
	for _, m := range states {
		publishedAt[m.Topic] = m.QoS
		m.QoS = min(m.QoS, qos)
		want[publishedAt[m.Topic]] = append(want[publishedAt[m.Topic]], m)
	}
	for range states {
		m := await(t, h.messages, "a state")
		got[publishedAt[m.Topic]] = append(got[publishedAt[m.Topic]], m)
	}
	for published := range want {
		require.Equal(t, len(want[published]), len(got[published]), "published at QoS %d", published)
		for i, m := range want[published] {
			require.Equal(t, m, got[published][i])
		}
	}
	require.Empty(t, h.messages)
}
