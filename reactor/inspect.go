package reactor

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"mqttd/session"
)

// ClientInfo is what a client's loop says of it at one moment.
type ClientInfo struct {
	Slot        uint32 // of the session table; two clients never have the same at one time
	ClientID    string // as the client sent it: any text, see Label
	Remote      netip.AddrPort
	Loop        int
	Version     string        // of the protocol
	KeepAlive   time.Duration // 0: none
	ConnectedAt time.Time
	Filters     int // subscriptions

	// Its part of the loss ledger, since it connected. Matched is no count of its own: it is by definition
	// Delivered + Dropped.Total() + WaitingMessages. What Server.Stats says is counted.
	Matched, Delivered uint64
	Dropped            Losses
	WaitingMessages    uint64
	WaitingBytes       int
	Congested          bool // its socket takes no more

	// Its part of the ledger of QoS 1 and 2, since its session began, or the broker. Inflight messages were sent
	// and are not acknowledged to the end.
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

// Clients returns up to limit connected clients in the order of their slots, those after the slot given; -1
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
		if next == -1 {
			break
		}
	}
	slices.SortFunc(list, func(a, b ClientInfo) int { return cmp.Compare(a.Slot, b.Slot) })
	return list, next, nil
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
		if c := s.table.Resolve(h); c != nil {
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

// Client returns what is known of a connected client; ok is false when there is none of that name. When
// something waits for the client it is asked twice, verdictInterval apart, for the verdict is about now. Any
// goroutine may call it but a loop.
func (s *Server) Client(ctx context.Context, clientID string) (info ClientInfo, ok bool, err error) {
	c := s.clients.Lookup(clientID)
	if c == nil {
		return info, false, nil
	}
	look := func() (*ClientInfo, error) {
		return queryOne(ctx, s, c.loop, func(l *loop) *ClientInfo { return l.examine(c) })
	}
	now, err := look()
	if err != nil || now == nil {
		return info, false, err
	}
	before := KernelInfo{}
	if now.WaitingBytes > 0 && now.Kernel != nil {
		before = *now.Kernel
		select {
		case <-time.After(verdictInterval):
		case <-ctx.Done():
		}
		if now, err = look(); err != nil || now == nil {
			return info, false, err
		}
	}
	if now.Kernel != nil {
		now.Verdict, now.VerdictWhy = judge(now.WaitingBytes, &before, now.Kernel)
	}
	return *now, true, nil
}

// verdictInterval is the time over which Client watches a connection for which something waits. (chosen: a
// few dozen ticks of the kernel's clock, in which it counts)
const verdictInterval = 100 * time.Millisecond

// Top returns the up to n clients that have lost the most messages, and those for which the most bytes wait,
// largest first, none with zero. When a loop does not answer until ctx is done, the others' are returned with
// the error. Any goroutine may call it but a loop.
func (s *Server) Top(ctx context.Context, n int) (byLoss, byWaiting []ClientInfo, err error) {
	var lossErr, waitingErr error
	var wait sync.WaitGroup
	wait.Go(func() {
		byLoss, lossErr = s.top(ctx, n, (*loop).losing, func(c *conn) uint64 { return c.losses.Total() },
			func(i *ClientInfo) uint64 { return i.Dropped.Total() })
	})
	wait.Go(func() {
		byWaiting, waitingErr = s.top(ctx, n, (*loop).waitedFor, func(c *conn) uint64 { return uint64(c.bytesWaiting()) },
			func(i *ClientInfo) uint64 { return uint64(i.WaitingBytes) })
	})
	wait.Wait()
	return byLoss, byWaiting, cmp.Or(lossErr, waitingErr)
}

// top returns the n clients of some lists of each loop that rank highest. The lists are asked for in windows;
// who changes place in them meanwhile may be missed.
func (s *Server) top(ctx context.Context, n int, lists func(*loop) [][]*conn, rank func(*conn) uint64,
	rankOf func(*ClientInfo) uint64) ([]ClientInfo, error) {
	type answer struct {
		infos []ClientInfo
		more  bool
	}
	var best []ClientInfo
	choose := func() {
		slices.SortFunc(best, func(a, b ClientInfo) int {
			return cmp.Or(cmp.Compare(rankOf(&b), rankOf(&a)), cmp.Compare(a.Slot, b.Slot))
		})
		seen := make(map[uint32]bool, len(best))
		best = slices.DeleteFunc(best, func(i ClientInfo) bool {
			again := seen[i.Slot]
			seen[i.Slot] = true
			return again
		})
		best = best[:min(n, len(best))]
	}
	loops := s.loops
	for from := 0; len(loops) > 0; from += windowMax {
		answers, err := query(ctx, s, loops, func(l *loop) answer {
			part, more := window(from, lists(l)...)
			return answer{l.topOf(part, n, rank), more}
		})
		for _, a := range answers {
			best = append(best, a.infos...)
		}
		if err != nil {
			choose()
			return best, err
		}
		if len(best) > 2*n {
			choose()
		}
		var longer []*loop
		for i, a := range answers {
			if a.more {
				longer = append(longer, loops[i])
			}
		}
		loops = longer
	}
	choose()
	return best, nil
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
		if c := l.connected(h); c != nil {
			infos = append(infos, l.info(c))
		}
	}
	return infos
}

// examine answers for one connection, with what the kernel knows of it; nil when it has gone.
func (l *loop) examine(c *conn) *ClientInfo {
	if !c.live() || c.state != session.Connected {
		return nil
	}
	info := l.info(c)
	info.Kernel = readKernel(c.gc.Fd())
	return &info
}

// connected returns the connection of this loop that a handle names, if it was accepted and lives.
func (l *loop) connected(h session.Handle) *conn {
	c := l.server.table.Resolve(h)
	if c == nil || c.loop != l || !c.live() || c.state != session.Connected {
		return nil
	}
	return c
}

func (l *loop) info(c *conn) ClientInfo {
	info := ClientInfo{
		Slot:            c.handle.Slot(),
		ClientID:        c.session.ClientID,
		Loop:            l.index,
		Version:         c.session.Version.String(),
		KeepAlive:       time.Duration(c.session.KeepAliveSeconds) * time.Second,
		ConnectedAt:     time.UnixMilli(c.since),
		Filters:         c.session.FilterCount(),
		Delivered:       c.delivered,
		WaitingMessages: c.messagesWaiting(),
		WaitingBytes:    c.bytesWaiting(),
		Congested:       c.pace == blocked,
	}
	if address, ok := c.gc.RemoteAddr().(*net.TCPAddr); ok {
		remote := address.AddrPort()
		info.Remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	}
	if c.losses != nil {
		info.Dropped = *c.losses
	}
	info.Matched = info.Delivered + info.Dropped.Total() + info.WaitingMessages
	if o := c.session.Outbox; o != nil {
		info.QueuedMessages, info.QueueBytes = o.Waiting()
		info.Inflight = o.Inflight()
		info.Above = o.Book()
	}
	return info
}

// topOf returns the up to n connected clients of a list that rank highest, in no order.
func (l *loop) topOf(list []*conn, n int, rank func(*conn) uint64) []ClientInfo {
	type ranked struct {
		conn *conn
		rank uint64
	}
	n = min(n, len(list))
	best := make([]ranked, 0, n) // largest first
	for _, c := range list {
		if !c.live() || c.state != session.Connected { // another loop may have what it had
			continue
		}
		entry := ranked{c, rank(c)}
		if entry.rank == 0 ||
			len(best) == n && (n == 0 || entry.rank <= best[n-1].rank) {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, entry, func(a, b ranked) int {
			return cmp.Or(cmp.Compare(b.rank, a.rank), cmp.Compare(a.conn.handle, b.conn.handle))
		})
		if at < len(best) && best[at] == entry { // it stands in two lists
			continue
		}
		if len(best) == n {
			best = best[:n-1]
		}
		best = slices.Insert(best, at, entry)
	}
	infos := make([]ClientInfo, len(best))
	for i, b := range best {
		infos[i] = l.info(b.conn)
	}
	return infos
}

// losing returns lists of the connections with losses.
func (l *loop) losing() [][]*conn { return [][]*conn{l.losers} }

// waitedFor returns lists of the connections for which something may wait: because their sockets take no more,
// until their turn comes, or behind retained messages. Some stand in two of them.
func (l *loop) waitedFor() [][]*conn { return [][]*conn{l.congested, l.postponed, l.replaying} }
