// Package fake is a broker for tests that misbehaves as told. No program imports it: a test binary
// becomes the broker when it is started as one.
package fake

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"mqttd/bench/peer"
)

// variable makes a test binary a broker.
const variable = "MQTTD_FAKE_BROKER"

// Main is the TestMain of a package that starts a Peer; run is m.Run.
func Main(run func() int) {
	if os.Getenv(variable) != "" && len(os.Args) == 3 {
		fmt.Fprintln(os.Stderr, serve(os.Args[1], os.Args[2]))
		os.Exit(3)
	}
	_ = os.Setenv(variable, "1") // for the children
	os.Exit(run())
}

// Faults of a Peer.
const (
	None  = "none"
	Drop  = "drop"  // every fourth message, for all
	Twice = "twice" // every fourth message
	Swap  = "swap"  // every fourth message comes after the next one
	// DieWhen and the path of a file: at a message, once the file is there.
	DieWhen     = "die-when:"
	Descriptors = "descriptors" // 40 more of them each second
	Memory      = "memory"      // 40 MiB more of it each second
)

// Peer returns a broker that delivers to the subscribers of a message's topic, and to those of a filter
// that ends in "#", at the publisher's QoS and with its Packet Identifiers.
func Peer(name, fault string) peer.Peer {
	return peer.Peer{Name: name, Title: "fake " + name, Command: []string{os.Args[0], "{port}", fault}}
}

type broker struct {
	fault       string
	started     time.Time
	mu          sync.Mutex
	subscribers []subscriber
	messages    int
	held        []byte     // a message that waits for the next one
	files       []*os.File // leaked
	memory      [][]byte   // leaked
}

type subscriber struct {
	conn   net.Conn
	filter string
}

func serve(port, fault string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	b := &broker{fault: fault, started: time.Now()}
	for {
		c, err := listener.Accept()
		if err != nil {
			return err
		}
		go b.client(c)
	}
}

func (b *broker) client(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		packet, err := readPacket(r)
		if err != nil {
			return
		}
		switch packet[0] >> 4 {
		case 1:
			_, _ = c.Write([]byte{0x20, 2, 0, 0})
		case 8:
			b.subscribe(c, packet)
		case 3:
			answer(c, packet)
			b.publish(packet)
		case 5: // PUBREC of a subscriber
			_, _ = c.Write([]byte{0x62, 2, packet[2], packet[3]})
		case 6: // PUBREL of a publisher
			_, _ = c.Write([]byte{0x70, 2, packet[2], packet[3]})
		}
	}
}

// answer acknowledges a PUBLISH as its QoS wants.
func answer(c net.Conn, packet []byte) {
	id := 4 + len(text(packet[2:])) // where the Packet Identifier stands
	switch packet[0] >> 1 & 3 {
	case 1:
		_, _ = c.Write([]byte{0x40, 2, packet[id], packet[id+1]})
	case 2:
		_, _ = c.Write([]byte{0x50, 2, packet[id], packet[id+1]})
	}
}

// subscribe grants the QoS asked for and acknowledges what has taken effect: a message published after the SUBACK is for c too.
func (b *broker) subscribe(c net.Conn, packet []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, _ = c.Write([]byte{0x90, 3, packet[2], packet[3], packet[len(packet)-1]})
	b.subscribers = append(b.subscribers, subscriber{c, text(packet[4:])})
}

func (b *broker) publish(packet []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages++
	b.leak()
	fourth := b.messages%4 == 0
	switch path, dieWhen := strings.CutPrefix(b.fault, DieWhen); {
	case b.fault == Drop && fourth:
		return
	case b.fault == Twice && fourth:
		b.deliver(packet)
	case b.fault == Swap && fourth:
		b.held = packet
		return
	case dieWhen && exists(path):
		fmt.Fprintln(os.Stderr, "fake broker: out of cheese")
		os.Exit(4)
	}
	b.deliver(packet)
	if b.held != nil {
		b.deliver(b.held)
		b.held = nil
	}
}

func (b *broker) deliver(packet []byte) {
	topic := text(packet[2:])
	for _, s := range b.subscribers {
		if s.filter == topic || strings.HasSuffix(s.filter, "#") {
			_, _ = s.conn.Write(packet)
		}
	}
}

// leak takes what should have leaked by now.
func (b *broker) leak() {
	n := int(40 * time.Since(b.started).Seconds())
	for b.fault == Descriptors && len(b.files) < n {
		file, err := os.Open(os.DevNull)
		if err != nil {
			panic(err)
		}
		b.files = append(b.files, file)
	}
	for b.fault == Memory && len(b.memory) < n {
		const populate = unix.MAP_ANON | unix.MAP_PRIVATE | unix.MAP_POPULATE // resident, and quickly
		memory, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, populate)
		if err != nil {
			panic(err)
		}
		b.memory = append(b.memory, memory)
	}
}

// text returns the string that b begins with [MQTT-1.5.3].
func text(b []byte) string { return string(b[2 : 2+int(b[0])<<8+int(b[1])]) }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// readPacket reads packets of up to 127 bytes.
func readPacket(r io.Reader) ([]byte, error) {
	packet := make([]byte, 2, 129)
	if _, err := io.ReadFull(r, packet); err != nil {
		return nil, err
	}
	packet = packet[:2+int(packet[1])]
	_, err := io.ReadFull(r, packet[2:])
	return packet, err
}
