package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"mqttd/reactor"
)

// healthz tells whether every loop turns.
func (a *Admin) healthz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
	defer cancel()
	if err := a.source.Responsive(ctx); err != nil {
		http.Error(w, oneLine(err), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// readyz tells whether the broker takes clients.
func (a *Admin) readyz(w http.ResponseWriter, _ *http.Request) {
	if !a.source.Ready() {
		http.Error(w, "not accepting clients", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// clientJSON is a client as the API shows it.
type clientJSON struct {
	ClientID       string          `json:"client_id"`
	State          string          `json:"state"` // connected, absent
	Slot           uint32          `json:"slot"`
	*connectedJSON                 // nil: it is away, since LeftAt
	LeftAt         *time.Time      `json:"left_at,omitempty"`
	Filters        int             `json:"filters"`
	Matched        uint64          `json:"matched"`
	Delivered      uint64          `json:"delivered"`
	Dropped        reactor.Losses  `json:"dropped"`
	Waiting        reactor.Waiting `json:"waiting"`
	Queue          *queueJSON      `json:"queue,omitempty"`
	Kernel         *kernelJSON     `json:"kernel,omitempty"`
	Verdict        reactor.Verdict `json:"verdict,omitempty"`
	VerdictWhy     string          `json:"verdict_why,omitempty"`
}

// connectedJSON is what only a client has that is connected.
type connectedJSON struct {
	Remote      string    `json:"remote"`
	Loop        int       `json:"loop"`
	Proto       string    `json:"proto"`
	KeepAlive   int       `json:"keepalive"` // seconds
	ConnectedAt time.Time `json:"connected_at"`
	Congested   bool      `json:"congested"`
}

// queueJSON is a client's part of the ledger of QoS 1 and 2.
type queueJSON struct {
	Matched   uint64          `json:"matched"`
	Delivered uint64          `json:"delivered"` // acknowledged
	Refused   uint64          `json:"refused"`   // for want of room
	Waiting   reactor.Waiting `json:"waiting"`
	Inflight  int             `json:"inflight"` // sent, and not acknowledged to the end
}

type kernelJSON struct {
	RTT             int64  `json:"rtt_us"`
	RTTVar          int64  `json:"rtt_var_us"`
	Retransmits     uint64 `json:"retransmits"`
	WindowBytes     int    `json:"window_bytes"`
	UnackedBytes    int    `json:"unacked_bytes"`
	SendQueueBytes  int    `json:"send_queue_bytes"`
	ReceiverLimited int64  `json:"receiver_limited_ms"`
	SenderLimited   int64  `json:"sender_limited_ms"`
	Busy            int64  `json:"busy_ms"`
	DeliveryRate    uint64 `json:"delivery_rate_bytes"` // a second
}

func toJSON(i *reactor.ClientInfo) clientJSON {
	c := clientJSON{
		ClientID: i.ClientID, Slot: i.Slot, Filters: i.Filters,
		Matched: i.Matched, Delivered: i.Delivered, Dropped: i.Dropped, Waiting: i.Waiting(),
		Verdict: i.Verdict, VerdictWhy: i.VerdictWhy,
	}
	if i.Away() {
		left := i.LeftAt.UTC()
		c.State, c.LeftAt = "absent", &left
	} else {
		c.State = "connected"
		c.connectedJSON = &connectedJSON{
			Remote: i.Remote.String(), Loop: i.Loop, Proto: i.Version, KeepAlive: int(i.KeepAlive / time.Second),
			ConnectedAt: i.ConnectedAt.UTC(), Congested: i.Congested,
		}
	}
	if i.Above.Matched > 0 {
		c.Queue = &queueJSON{i.Above.Matched, i.Above.Delivered, i.Above.Refused,
			reactor.Waiting{Messages: uint64(i.QueuedMessages), Bytes: i.QueueBytes}, i.Inflight}
	}
	if k := i.Kernel; k != nil {
		c.Kernel = &kernelJSON{
			RTT: k.RTT.Microseconds(), RTTVar: k.RTTVar.Microseconds(), Retransmits: k.Retransmits,
			WindowBytes: k.WindowBytes, UnackedBytes: k.UnackedBytes, SendQueueBytes: k.SendQueueBytes,
			ReceiverLimited: k.ReceiverLimited.Milliseconds(), SenderLimited: k.SenderLimited.Milliseconds(),
			Busy: k.Busy.Milliseconds(), DeliveryRate: k.DeliveryRate,
		}
	}
	return c
}

const (
	pageDefault = 100
	pageMax     = 1000 // clients in one answer (chosen: half a megabyte at most)
)

// clients lists ?limit= clients, connected or away, in the slots after ?after=. "next" is the after of the next page,
// null on the last.
func (a *Admin) clients(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	limit, err := number(query, "limit", pageDefault, 1, pageMax)
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	after, err := number(query, "after", -1, 0, 1<<31)
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
	defer cancel()
	list, next, err := a.source.Clients(ctx, after, limit)
	if err != nil {
		writeError(w, http.StatusServiceUnavailable, oneLine(err))
		return
	}
	page := struct {
		Clients []clientJSON `json:"clients"`
		Next    *int         `json:"next"`
	}{Clients: make([]clientJSON, len(list))}
	for i := range list {
		page.Clients[i] = toJSON(&list[i])
	}
	if next >= 0 {
		page.Next = &next
	}
	writeJSON(w, http.StatusOK, page)
}

// client shows one client. Its identifier is all of the path that follows, with percent-encoding: slashes may
// be encoded and need not.
func (a *Admin) client(w http.ResponseWriter, r *http.Request) {
	clientID, err := url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), clientPath))
	if err != nil { // cannot be: the path was parsed
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
	defer cancel()
	info, ok, err := a.source.Client(ctx, clientID)
	switch {
	case err != nil:
		writeError(w, http.StatusServiceUnavailable, oneLine(err))
	case !ok:
		writeError(w, http.StatusNotFound, fmt.Sprintf("no client %q is connected, or has a session", clientID))
	default:
		writeJSON(w, http.StatusOK, toJSON(&info))
	}
}

// losses shows the ledger of all clients together, and those that have lost the most.
func (a *Admin) losses(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), askTimeout)
	defer cancel()
	top, _, err := a.source.Top(ctx, a.options.Top)
	if err != nil {
		writeError(w, http.StatusServiceUnavailable, oneLine(err))
		return
	}
	st := a.source.Stats()
	all := st.Total()
	ledger := struct {
		Matched   uint64               `json:"matched"`
		Delivered uint64               `json:"delivered"`
		Dropped   reactor.Losses       `json:"dropped"`
		Waiting   reactor.Waiting      `json:"waiting"`
		Top       []reactor.ClientLoss `json:"top"`
	}{all.Matched, all.Delivered, all.Dropped,
		reactor.Waiting{Messages: uint64(st.Waiting()), Bytes: st.WaitingBytes + st.QueueBytes},
		make([]reactor.ClientLoss, len(top))}
	for i := range top {
		ledger.Top[i] = top[i].Loss()
	}
	writeJSON(w, http.StatusOK, ledger)
}

// number reads a parameter, which has a default.
func number(query url.Values, name string, otherwise, least, most int) (int, error) {
	if !query.Has(name) {
		return otherwise, nil
	}
	n, err := strconv.Atoi(query.Get(name))
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%s %q: want %d to %d", name, query.Get(name), least, most)
	}
	return n, nil
}

func writeError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, struct {
		Error string `json:"error"`
	}{message})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // a client that has gone needs no answer
}

// oneLine puts joined errors on one line.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
