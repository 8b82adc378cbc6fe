package reactor

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Limits of what is told about single clients. (chosen)
const (
	sysTop        = 10              // clients in top/loss and in top/waiting
	lossTopicsMax = 1_000           // clients with a topic of their own: those with most losses
	surveyWait    = 5 * time.Second // until a loop that does not answer is left out
)

// lossValues returns the totals of the loss ledger.
func lossValues(st *Stats) []sysValue {
	number := func(topic string, n uint64) sysValue {
		return sysValue{sysTopic("mqttd", topic), strconv.FormatUint(n, 10)}
	}
	all := st.Total()
	values := []sysValue{
		number("matched", all.Matched),
		number("delivered", all.Delivered),
		number("waiting/messages", uint64(st.Waiting())),
		number("waiting/bytes", uint64(st.WaitingBytes+st.QueueBytes)),
		number("congested", uint64(st.Congested)),
	}
	for reason, n := range all.Dropped {
		values = append(values, number("loss/"+Reason(reason).String(), n))
	}
	return values
}

// clientValues asks the loops about single clients. complete is false when one of them does not answer until ctx
// is done; then the values tell of the others' clients.
func (t *sysTree) clientValues(ctx context.Context) (values []sysValue, complete bool) {
	byLoss, byWaiting, err := t.server.Top(ctx, lossTopicsMax)
	topLoss, topWaiting := []ClientLoss{}, []clientWaiting{}
	for i := range byLoss {
		client := &byLoss[i]
		topic := sysTopic("mqttd/clients", levelOf(client.ClientID, client.Slot), "loss")
		values = append(values, sysValue{topic, jsonText(client.Loss())})
		if i < sysTop {
			topLoss = append(topLoss, client.Loss())
		}
	}
	for i := range byWaiting[:min(sysTop, len(byWaiting))] {
		topWaiting = append(topWaiting, clientWaiting{byWaiting[i].ClientID, byWaiting[i].Waiting()})
	}
	return append(values,
		sysValue{sysTopic("mqttd/top/loss"), jsonText(topLoss)},
		sysValue{sysTopic("mqttd/top/waiting"), jsonText(topWaiting)}), err == nil
}

// clientWaiting is written as JSON.
type clientWaiting struct {
	ClientID string  `json:"client_id"`
	Waiting  Waiting `json:"waiting"`
}

func jsonText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // no type here can fail
	}
	return string(text)
}

// levelBytesMax is the length of a level from which on it is cut. (chosen: what -max-client-id is by default)
const levelBytesMax = 256

// levelOf writes a Client Identifier as one level of a topic: what would end the level, be a wildcard or a
// control character is percent-encoded, and the percent sign with it. A long one is cut and told from others
// that begin alike by the client's slot, behind %_, which is no encoding of anything.
func levelOf(clientID string, slot uint32) string {
	var level strings.Builder
	for _, r := range clientID {
		char := string(r)
		if strings.ContainsRune("/+#%", r) || unicode.IsControl(r) {
			char = "%" + strings.ReplaceAll(fmt.Sprintf("% X", char), " ", "%")
		}
		if level.Len()+len(char) > levelBytesMax {
			fmt.Fprintf(&level, "%%_%d", slot)
			break
		}
		level.WriteString(char)
	}
	return level.String()
}
