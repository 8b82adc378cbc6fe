package reactor

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

var (
	mutations    = flag.Int("mutations", 500_000, "mutated packets that TestMutatedPackets throws at the broker")
	mutationSeed = flag.Uint64("mutation-seed", 311, "seed of the mutations")
)

// TestMutatedPackets throws mutated packets at a live broker: no panic, no growth, and a
// well-behaved pair of clients beside it loses nothing.
func TestMutatedPackets(t *testing.T) {
	s := start(t, func(c *Config) { c.Loops, c.MaxPacketBytes = 2, 64<<10 })
	reader := connect(t, s, "well-behaved reader")
	reader.subscribe("well/behaved")
	writer := connect(t, s, "well-behaved writer")

	before := footprint()
	var thrown atomic.Int64
	var throwers sync.WaitGroup
	const throwersMax = 4
	for i := range throwersMax {
		throwers.Go(func() {
			m := mutator{random: rand.New(rand.NewPCG(*mutationSeed, uint64(i)))}
			for thrown.Load() < int64(*mutations) {
				thrown.Add(int64(m.throw(t, s)))
			}
		})
	}
	done := make(chan struct{})
	go func() { throwers.Wait(); close(done) }()

	sent := 0
	for running := true; running; sent++ {
		select {
		case <-done:
			running = false
		case <-time.After(time.Millisecond):
		}
		writer.publish("well/behaved", fmt.Sprint(sent))
		require.Equal(t, fmt.Sprint("well/behaved ", sent), reader.expectPublish())
	}
	eventually(t, "all throwers are gone", func() bool { return s.Stats().Clients == 2 && s.Stats().Connections == 2 })
	const workers = enrollingMax + 4 // gnet keeps idle ones for ten seconds
	eventually(t, "goroutines are gone", func() bool { return runtime.NumGoroutine() <= before.goroutines+workers+2 })
	st, after := s.Stats(), footprint()
	t.Logf("seed %d: %d mutated packets on %d connections, %d protocol errors; %d messages between the well-behaved, none lost; heap %d KiB -> %d KiB, goroutines %d -> %d",
		*mutationSeed, thrown.Load(), st.Accepted-2, st.ProtocolErrors, sent, before.heap>>10, after.heap>>10, before.goroutines, after.goroutines)
	assert.Zero(t, st.Panics)
	assert.Equal(t, 1, st.Subscriptions)
	const slack = 8 << 20 // logs, buffers and the route cache of the loops
	assert.Less(t, after.heap, before.heap+slack)
}

type size struct {
	heap       uint64
	goroutines int
}

func footprint() size {
	runtime.GC()
	runtime.GC() // what the first one found in pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return size{heap: m.HeapAlloc, goroutines: runtime.NumGoroutine()}
}

// packetsPerConnection is small: what follows the packet that ends a connection tests nothing.
const packetsPerConnection = 30

// mutator makes streams that begin as valid ones.
type mutator struct {
	random *rand.Rand
	buf    []byte
}

// throw opens a connection, mostly with a valid CONNECT, and sends a batch of mutated packets
// until the broker has had enough. It returns how many packets it sent.
func (m *mutator) throw(t *testing.T, s *Server) (packets int) {
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Errorf("the broker does not listen any more: %v", err)
		return *mutations
	}
	defer c.Close()
	go io.Copy(io.Discard, c) // until closed
	m.buf = m.buf[:0]
	if m.random.IntN(10) > 0 {
		m.buf = codec.AppendConnect(m.buf, m.validConnect())
	}
	for packets < packetsPerConnection {
		m.buf = m.appendMutated(m.buf)
		packets++
		if m.random.IntN(4) == 0 || len(m.buf) > 64<<10 {
			if _, err := c.Write(m.buf); err != nil {
				return packets
			}
			m.buf = m.buf[:0]
		}
	}
	_, _ = c.Write(m.buf)
	if m.random.IntN(2) == 0 {
		_ = c.(*net.TCPConn).SetLinger(0) // closes with a RST
	}
	return packets
}

// appendMutated appends a valid packet and then spoils some of its bytes, or none.
func (m *mutator) appendMutated(dst []byte) []byte {
	from := len(dst)
	dst = m.appendValid(dst)
	switch packet := dst[from:]; m.random.IntN(8) {
	case 0: // as it is, so that the connection lives on
	case 1: // cut
		dst = dst[:from+m.random.IntN(len(packet)+1)]
	case 2: // a stretch of junk
		for range m.random.IntN(40) {
			dst = append(dst, byte(m.random.Uint32()))
		}
	case 3: // another announced length
		if len(packet) > 1 {
			packet[1] = byte(m.random.Uint32())
		}
	case 4: // another type or flags
		packet[0] = byte(m.random.Uint32())
	default: // bytes in the body, rarely those of the header
		for range 1 + m.random.IntN(3) {
			packet[min(len(packet)-1, 2+m.random.IntN(len(packet)))] ^= 1 << m.random.IntN(8)
		}
	}
	return dst
}

func (m *mutator) appendValid(dst []byte) []byte {
	id := uint16(1 + m.random.IntN(20))
	switch m.random.IntN(9) {
	case 0:
		return codec.AppendConnect(dst, m.validConnect())
	case 1:
		return codec.AppendSubscribe(dst, id, []codec.Subscription{{Filter: m.filter()}, {Filter: m.filter(), QoS: 2}})
	case 2:
		return codec.AppendUnsubscribe(dst, id, []string{m.filter(), m.filter()})
	case 3:
		return codec.AppendAck(dst, codec.PUBREL, id)
	case 4:
		return codec.AppendPingreq(dst)
	case 5:
		return codec.AppendAck(dst, codec.PUBACK, id)
	default:
		p := codec.Publish{Topic: []byte(m.topic()), Payload: make([]byte, m.random.IntN(200)), QoS: codec.QoS(m.random.IntN(3))}
		p.Retain = m.random.IntN(4) == 0
		if p.QoS > 0 {
			p.PacketID = id
		}
		return codec.AppendPublish(dst, &p)
	}
}

func (m *mutator) validConnect() *codec.Connect {
	p := &codec.Connect{Version: codec.Version311, CleanSession: true, KeepAliveSeconds: 60,
		ClientID: fmt.Appendf(nil, "thrower-%d", m.random.IntN(6))} // few, so that they take one another over
	if p.HasWill = m.random.IntN(2) == 0; p.HasWill {
		p.Will = codec.Will{Topic: []byte(m.topic()), Payload: []byte("will"), Retain: m.random.IntN(2) == 0}
	}
	return p
}

func (m *mutator) topic() string {
	return []string{"a", "a/b", "a/b/c", "/", "$SYS/x", "a//b", "ä/ö"}[m.random.IntN(7)]
}

func (m *mutator) filter() string {
	return []string{"a", "a/+", "#", "+/b/#", "/", "$SYS/#", "+", "a/b/c", "ä/+"}[m.random.IntN(9)]
}
