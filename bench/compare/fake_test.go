package compare

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"mqttd/bench/peer"
)

// fakeVariable makes the test binary a broker that misbehaves as told.
const fakeVariable = "MQTTD_FAKE_BROKER"

func TestMain(m *testing.M) {
	if os.Getenv(fakeVariable) != "" && len(os.Args) == 3 {
		fmt.Fprintln(os.Stderr, serve(os.Args[1], os.Args[2]))
		os.Exit(3)
	}
	_ = os.Setenv(fakeVariable, "1") // for the children
	os.Exit(m.Run())
}

// fakePeer returns a broker that delivers one byte stream to all subscribers. The fault is "none",
// "drop" (every thousandth message, for all), "die" (at the 2000th) or "dumb" (it never answers).
func fakePeer(name, fault string) peer.Peer {
	return peer.Peer{Name: name, Title: "fake " + name, Command: []string{os.Args[0], "{port}", fault}}
}

type fakeBroker struct {
	fault       string
	mu          sync.Mutex
	subscribers []net.Conn
	messages    int
}

func serve(port, fault string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	b := &fakeBroker{fault: fault}
	for {
		c, err := listener.Accept()
		if err != nil {
			return err
		}
		go b.client(c)
	}
}

func (b *fakeBroker) client(c net.Conn) {
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
			b.publish(packet)
		}
	}
}

// subscribe acknowledges what has taken effect: a message published after the SUBACK is for c too.
func (b *fakeBroker) subscribe(c net.Conn, packet []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, _ = c.Write([]byte{0x90, 3, packet[2], packet[3], 0})
	b.subscribers = append(b.subscribers, c)
}

func (b *fakeBroker) publish(packet []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages++
	switch {
	case b.fault == "drop" && b.messages%1000 == 0:
		return
	case b.fault == "die" && b.messages == 2000:
		fmt.Fprintln(os.Stderr, "fake broker: out of cheese")
		os.Exit(4)
	}
	for _, c := range b.subscribers {
		_, _ = c.Write(packet)
	}
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

func pidExists(pid int) bool {
	_, err := os.Stat("/proc/" + strconv.Itoa(pid))
	return err == nil
}

func waitGone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); pidExists(pid); {
		if time.Now().After(deadline) {
			t.Fatalf("process %d is still there", pid)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
