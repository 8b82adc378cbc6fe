package reactor

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"mqttd/session"
)

// ClientInfo is what a client's loop says of it at one moment, or what is known of one that is away and has a session.
type ClientInfo struct {
	handle   session.Handle
	Slot     uint32 // of the session table; two clients never have the same at one time
	ClientID string // as the client sent it: any text, see Label

	// LeftAt is when the client left, zero: it is connected. What of the following belongs to a connection is zero
	// while it is away.
	LeftAt time.Time

	Remote      netip.AddrPort
	Loop        int
	Version     string        // of the protocol
	KeepAlive   time.Duration // 0: none
	ConnectedAt time.Time
	Filters     int // subscriptions

	// Its part of the loss ledger: at QoS 0 since it connected, but for Dropped[ReasonAbsent], and above, since its
	// session began, or the broker. Matched is no count of its own: it is by definition Delivered + Dropped.Total() +
	// WaitingMessages. What Server.Stats says is counted.
	Matched, Delivered uint64
	Dropped            Losses
	WaitingMessages    uint64
	WaitingBytes       int
	Congested          bool // its socket takes no more

	// What of that is of QoS 1 and 2. Inflight messages were sent and are not acknowledged to the end.
	Above          session.Book
	QueuedMessages int
	QueueBytes     int
	Inflight       int

	Kernel     *KernelInfo // set by Server.Client only
	Verdict    Verdict     // set by Server.Client only
	VerdictWhy string      // a sentence
}

// ClientLoss is what a client has lost, as $SYS and the API write it as JSON.
type ClientLoss struct {
	ClientID string `json:"client_id"`
	Dropped  Losses `json:"dropped"`
	Lost     uint64 `json:"lost"`
}

// Waiting is what waits, as $SYS and the API write it as JSON.
type Waiting struct {
	Messages uint64 `json:"messages"`
	Bytes    int    `json:"bytes"`
}

// Loss returns what the client has lost.
func (i *ClientInfo) Loss() ClientLoss { return ClientLoss{i.ClientID, i.Dropped, i.Dropped.Total()} }

// Waiting returns what waits for the client.
func (i *ClientInfo) Waiting() Waiting { return Waiting{i.WaitingMessages, i.WaitingBytes} }

// Label returns the Client Identifier as it may stand in a log line or a metric: printable and short.
func (i *ClientInfo) Label() string { return cut(i.ClientID) }

// Away reports whether the client is away and has a session.
func (i *ClientInfo) Away() bool { return !i.LeftAt.IsZero() }

// Clients returns up to limit clients in the order of their slots, those after the slot given, connected or away; -1
// begins. next is what to continue with, -1 when no more follow. Clients that come and go meanwhile may be
// missed; one that stays is listed once. Any goroutine may call it but a loop. It fails when a loop does not
// answer until ctx is done, and returns none then.
func (s *Server) Clients(ctx context.Context, after, limit int) (list []ClientInfo, next int, err error) {
	for next = max(after, -1); len(list) < limit; {
		var handles []session.Handle
		handles, next = s.occupants(next+1, min(limit-len(list), windowMax))
		answers, err := query(ctx, s, s.loopsOf(handles), func(l *loop) []ClientInfo { return l.infosOf(handles) })
		if err != nil {
			return nil, -1, err
		}
		list = append(list, slices.Concat(answers...)...)
		list = append(list, s.awayAmong(handles)...)
		if next == -1 {
			break
		}
	}
	return inSlots(list), next, nil
}

// inSlots puts clients in the order of their slots, each once: one that has left, or moved to another loop, since it
// was asked about may have been found twice.
func inSlots(list []ClientInfo) []ClientInfo {
	slices.SortStableFunc(list, func(a, b ClientInfo) int { return cmp.Compare(a.Slot, b.Slot) })
	return slices.CompactFunc(list, func(a, b ClientInfo) bool { return a.Slot == b.Slot })
}

// occupants returns up to limit handles in slots from first on, and the last slot it has looked at, -1 when
// that was the last of all.
func (s *Server) occupants(first, limit int) (handles []session.Handle, last int) {
	for slot := first; slot < s.table.Slots(); slot++ {
		if h, c := s.table.At(slot); c != nil {
			if handles = append(handles, h); len(handles) == limit {
				return handles, slot
			}
		}
	}
	return handles, -1
}

// loopsOf returns the loops that serve the connections.
func (s *Server) loopsOf(handles []session.Handle) (loops []*loop) {
	concerned := make([]bool, len(s.loops))
	for _, h := range handles {
		if c := s.table.Resolve(h); c != nil && c.serves.Load() != nil {
			concerned[c.loop.index] = true
		}
	}
	for i, l := range s.loops {
		if concerned[i] {
			loops = append(loops, l)
		}
	}
	return loops
}

// awayAmong returns those of the clients that are away. Any goroutine may call it.
func (s *Server) awayAmong(handles []session.Handle) (list []ClientInfo) {
	for _, h := range handles {
		c := s.table.Resolve(h)
		if c == nil || c.serves.Load() != nil { // else it has closed, and its session is there to be read
			continue
		}
		if info, ok := s.away(c.session.ClientID); ok && info.handle == h {
			list = append(list, info)
		}
	}
	return list
}

// away returns what is known of a client that is away; ok is false when it has no session. Any goroutine may call it.
func (s *Server) away(clientID string) (info ClientInfo, ok bool) {
	seen, ok := s.absent.Look(clientID)
	if !ok {
		return info, false
	}
	now := time.Now()
	started := now.Add(-now.Sub(s.sys.started)) // by the time of day as it is set now
	info = ClientInfo{
		handle: seen.Handle, Slot: seen.Handle.Slot(), ClientID: clientID, Filters: seen.Filters,
		LeftAt: started.Add(time.Duration(seen.Left) * time.Millisecond).Round(time.Millisecond),
	}
	info.Dropped.addSession(seen.Missed, seen.Outbox)
	info.addOutbox(seen.Outbox)
	return info, true
}

// Client returns what is known of a client that is connected or away; ok is false when there is none of that name.
// When something waits for a connected client it is asked twice, verdictInterval apart, for the verdict is about now.
// Any goroutine may call it but a loop.
func (s *Server) Client(ctx context.Context, clientID string) (info ClientInfo, ok bool, err error) {
	if c := s.clients.Lookup(clientID); c != nil {
		info, ok, err = s.connected(ctx, c)
	}
	if !ok && err == nil {
		info, ok = s.away(clientID)
	}
	return info, ok, err
}

// connected is Client for one that may be connected.
func (s *Server) connected(ctx context.Context, c *conn) (info ClientInfo, ok bool, err error) {
	look := func() (*ClientInfo, error) {
		return queryOne(ctx, s, c.loop, func(l *loop) *ClientInfo { return l.examine(c) })
	}
	now, err := look()
	if err != nil || now == nil {
		return info, false, err
	}
	before := &ClientInfo{Kernel: &KernelInfo{}}
	if now.WaitingBytes > 0 && now.Kernel != nil {
		before = now
		select {
		case <-time.After(verdictInterval):
		case <-ctx.Done():
		}
		if now, err = look(); err != nil || now == nil {
			return info, false, err
		}
	}
	if now.Kernel != nil {
		now.Verdict, now.VerdictWhy = judge(before, now)
	}
	return *now, true, nil
}

// verdictInterval is the time over which Client watches a connection for which something waits. (chosen: a
// few dozen ticks of the kernel's clock, in which it counts)
const verdictInterval = 100 * time.Millisecond

// Top returns the up to n clients that have lost the most messages, and those for which the most bytes wait,
// largest first, none with zero. When a loop does not answer until ctx is done, the others' are returned with
// the error. Clients that come and go meanwhile may be missed. Any goroutine may call it but a loop.
func (s *Server) Top(ctx context.Context, n int) (byLoss, byWaiting []ClientInfo, err error) {
	answers, errs := make([][]ClientInfo, len(s.loops)), make([]error, len(s.loops))
	var wait sync.WaitGroup
	for i, l := range s.loops {
		wait.Go(func() { answers[i], errs[i] = s.topOf(ctx, l, n) })
	}
	away := s.topAway(n)
	wait.Wait()
	clients := inSlots(append(slices.Concat(answers...), away...))
	return largest(clients, n, byLost), largest(clients, n, byBytesWaiting), errors.Join(errs...)
}

func byLost(i *ClientInfo) uint64         { return i.Dropped.Total() }
func byBytesWaiting(i *ClientInfo) uint64 { return uint64(i.WaitingBytes) }

// topOf returns those of Top that may be among a loop's clients, in no order. The loop looks through all of them a
// window at a time, and tells more of the few only.
func (s *Server) topOf(ctx context.Context, l *loop, n int) (infos []ClientInfo, err error) {
	var all []standing
	for first := 0; first < s.table.Slots(); first += standingsMax {
		found, err := queryOne(ctx, s, l, func(l *loop) []standing { return l.standings(first) })
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	for part := range slices.Chunk(leaders(all, n), windowMax) {
		answer, err := queryOne(ctx, s, l, func(l *loop) []ClientInfo { return l.infosOf(part) })
		if err != nil {
			return nil, err
		}
		infos = append(infos, answer...)
	}
	return infos, nil
}

// topAway returns those of Top that may be among the clients that are away, in no order.
func (s *Server) topAway(n int) []ClientInfo {
	var all []standing
	for last := -1; ; {
		var handles []session.Handle
		handles, last = s.occupants(last+1, windowMax)
		for _, info := range s.awayAmong(handles) {
			if stands := (standing{info.handle, byLost(&info), byBytesWaiting(&info)}); stands.any() {
				all = append(all, stands)
			}
		}
		if last == -1 {
			return s.awayAmong(leaders(all, n))
		}
	}
}

// leaders returns who has lost the most, and for whom the most waits, n of each, each once.
func leaders(all []standing, n int) (handles []session.Handle) {
	lost := largest(all, n, func(s *standing) uint64 { return s.lost })
	waiting := largest(all, n, func(s *standing) uint64 { return s.waiting })
	for _, s := range append(lost, waiting...) {
		handles = append(handles, s.handle)
	}
	slices.Sort(handles)
	return slices.Compact(handles)
}

// largest returns the up to n of a list that rank highest, highest first, none with zero. Equals keep their order.
func largest[T any](list []T, n int, rank func(*T) uint64) []T {
	best := slices.DeleteFunc(slices.Clone(list), func(v T) bool { return rank(&v) == 0 })
	slices.SortStableFunc(best, func(a, b T) int { return cmp.Compare(rank(&b), rank(&a)) })
	return best[:min(n, len(best))]
}

// Responsive returns nil when every loop answers before ctx is done. The error names those that do not.
func (s *Server) Responsive(ctx context.Context) error {
	_, err := query(ctx, s, s.loops, func(*loop) struct{} { return struct{}{} })
	return err
}

// Ready reports whether the server takes clients: it listens and does not stop. Any goroutine may call it.
func (s *Server) Ready() bool {
	select {
	case <-s.listening:
		return !s.stopping.Load()
	default:
		return false
	}
}

// infosOf answers for those of the connections that are this loop's.
func (l *loop) infosOf(handles []session.Handle) []ClientInfo {
	infos := make([]ClientInfo, 0, len(handles))
	for _, h := range handles {
		if c := l.server.table.Resolve(h); l.serves(c) {
			infos = append(infos, l.info(c))
		}
	}
	return infos
}

// examine answers for one connection, with what the kernel knows of it; nil when it has gone.
func (l *loop) examine(c *conn) *ClientInfo {
	if !l.serves(c) {
		return nil
	}
	info := l.info(c)
	info.Kernel = readKernel(c.gc.Fd())
	return &info
}

// serves reports whether c, which may be nil, is the connection of a client that this loop has accepted.
func (l *loop) serves(c *conn) bool {
	return c != nil && c.loop == l && c.live() && c.state == session.Connected
}

func (l *loop) info(c *conn) ClientInfo {
	info := ClientInfo{
		handle:          c.handle,
		Slot:            c.handle.Slot(),
		ClientID:        c.session.ClientID,
		Loop:            l.index,
		Version:         c.session.Version.String(),
		KeepAlive:       time.Duration(c.session.KeepAliveSeconds) * time.Second,
		ConnectedAt:     time.UnixMilli(c.since),
		Filters:         c.session.FilterCount(),
		Delivered:       c.delivered,
		Dropped:         lossesOf(c.losses, c.session),
		WaitingMessages: c.messagesWaiting(),
		WaitingBytes:    c.bytesWaiting(),
		Congested:       c.pace == blocked,
	}
	if address, ok := c.gc.RemoteAddr().(*net.TCPAddr); ok {
		remote := address.AddrPort()
		info.Remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	}
	info.addOutbox(c.session.Outbox)
	return info
}

// addOutbox adds what an outbox knows, nil: nothing, to what is known of QoS 0.
func (i *ClientInfo) addOutbox(o *session.Outbox) {
	if o != nil {
		i.QueuedMessages, i.QueueBytes = o.Waiting()
		i.Inflight = o.Inflight()
		i.Above = o.Book()
	}
	i.Delivered += i.Above.Delivered
	i.WaitingMessages += uint64(i.QueuedMessages)
	i.WaitingBytes += i.QueueBytes
	i.Matched = i.Delivered + i.Dropped.Total() + i.WaitingMessages
}

// standing is what makes a client one of Top.
type standing struct {
	handle        session.Handle
	lost, waiting uint64 // messages; bytes
}

func (s standing) any() bool { return s.lost > 0 || s.waiting > 0 }

// standingsMax is how many slots one question looks through at most. (measured: see BenchmarkStandingsQuestion)
const standingsMax = 1024

// standings returns those clients of this loop in the slots from first on that have lost anything, or for which
// something waits.
func (l *loop) standings(first int) (list []standing) {
	table := l.server.table
	for slot := first; slot < min(first+standingsMax, table.Slots()); slot++ {
		_, c := table.At(slot)
		if !l.serves(c) {
			continue
		}
		stands := standing{c.handle, lossesOf(c.losses, c.session).Total(), uint64(c.bytesWaiting())}
		if o := c.session.Outbox; o != nil {
			_, bytes := o.Waiting()
			stands.waiting += uint64(bytes)
		}
		if stands.any() {
			list = append(list, stands)
		}
	}
	return list
}
