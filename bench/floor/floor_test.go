package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// asFloor is the environment variable that makes the test binary the program. It has to be a process
// of its own: a collection in the tests' process would wait for the loop's thread for ever.
const asFloor = "FLOOR_TEST_RUN"

const patience = time.Minute

func TestMain(m *testing.M) {
	if os.Getenv(asFloor) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func command(t *testing.T, flags ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], flags...)
	c.Env = append(os.Environ(), asFloor+"=1")
	return c
}

// start runs floor on a free port and returns its address, and the process for who stops it.
func start(t *testing.T, flags ...string) (string, *exec.Cmd) {
	t.Helper()
	c := command(t, append(flags, "-port", "0")...)
	stderr, err := c.StderrPipe()
	must(t, err)
	must(t, c.Start())
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	line, err := bufio.NewReader(stderr).ReadString('\n')
	must(t, err)
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "floor listens on ")
	if !ok {
		t.Fatalf("floor printed %q", line)
	}
	return address, c
}

type client struct {
	*net.TCPConn
	t *testing.T
}

func dial(t *testing.T, address string) client {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	c := client{conn.(*net.TCPConn), t}
	c.send("\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a")
	c.expect("\x20\x02\x00\x00")
	return c
}

func subscriber(t *testing.T, address string, filters ...string) client {
	t.Helper()
	c := dial(t, address)
	c.send(subscribe(filters...))
	c.expect("\x90" + string(rune(2+len(filters))) + "\x12\x34" + strings.Repeat("\x00", len(filters)))
	return c
}

func (c client) send(bytes string) {
	c.t.Helper()
	_, err := io.WriteString(c, bytes)
	must(c.t, err)
}

// expect reads exactly as many bytes as it wants to see.
func (c client) expect(want string) {
	c.t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c, got)
	if err != nil || string(got) != want {
		c.t.Fatalf("read %.80q of %d bytes (%v), want %.80q", got[:n], n, err, want)
	}
}

// expectNothingMore fails if anything but the answer to a PINGREQ is on its way.
func (c client) expectNothingMore() {
	c.t.Helper()
	c.send("\xc0\x00")
	c.expect("\xd0\x00")
}

func (c client) expectClosed() {
	c.t.Helper()
	if n, err := io.Copy(io.Discard, c.TCPConn); n > 0 || os.IsTimeout(err) {
		c.t.Fatalf("read %d bytes (%v) from what should be closed", n, err)
	}
}

func publish(topic, payload string) string {
	body := mqttString(topic) + payload
	return string(binary.AppendUvarint([]byte{0x30}, uint64(len(body)))) + body
}

func subscribe(filters ...string) string {
	body := "\x12\x34"
	for _, f := range filters {
		body += mqttString(f) + "\x00"
	}
	return string(binary.AppendUvarint([]byte{0x82}, uint64(len(body)))) + body
}

func mqttString(s string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(len(s)))) + s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFramesCutAtAnyByteReachEverySubscriberInOrder(t *testing.T) {
	for _, flags := range [][]string{nil, {"-each"}} {
		t.Run(fmt.Sprint(flags), func(t *testing.T) {
			address, _ := start(t, flags...)
			subscribers := []client{subscriber(t, address, "a/b"), subscriber(t, address, "a/b"), subscriber(t, address, "a/b")}
			publisher := dial(t, address)
			stream := publish("a/b", "") + publish("other", "not for a/b") +
				publish("a/b", strings.Repeat("long", 50)) + publish("a/b", "last")
			first := publish("a/b", "first")
			want := strings.Replace(stream, publish("other", "not for a/b"), "", 1)
			for cut := range len(stream) {
				// Who has the first frame knows that floor has read up to the cut: it came in one piece.
				publisher.send(first + stream[:cut])
				for _, s := range subscribers {
					s.expect(first)
				}
				publisher.send(stream[cut:])
				for _, s := range subscribers {
					s.expect(want)
				}
			}
			for _, s := range subscribers {
				s.expectNothingMore()
			}
		})
	}
}

func TestNumberSignMatchesEverything(t *testing.T) {
	address, _ := start(t)
	s, publisher := subscriber(t, address, "#"), dial(t, address)
	frames := publish("a", "1") + publish("b/c", "2") + publish("never/subscribed/to", "3")
	publisher.send(frames)
	s.expect(frames)
}

func TestOneSubscribeMayHaveSeveralFilters(t *testing.T) {
	address, _ := start(t)
	s, publisher := subscriber(t, address, "a", "b", "a"), dial(t, address)
	publisher.send(publish("a", "1"))
	s.expect(publish("a", "1"))
	publisher.send(publish("c", "2") + publish("b", "3"))
	s.expect(publish("b", "3"))
	s.expectNothingMore()
}

func TestManyFiltersGetASubackWithATwoByteLength(t *testing.T) {
	address, _ := start(t)
	s := dial(t, address)
	filters := make([]string, 200)
	for i := range filters {
		filters[i] = fmt.Sprint("topic/", i)
	}
	s.send(subscribe(filters...))
	s.expect("\x90\xca\x01\x12\x34" + strings.Repeat("\x00", len(filters)))
	s.send(publish("topic/199", "x"))
	s.expect(publish("topic/199", "x"))
}

func TestPlusIsRefusedAlone(t *testing.T) {
	address, _ := start(t)
	s := dial(t, address)
	s.send(subscribe("a", "+/b", "c/+/#", "b"))
	s.expect("\x90\x06\x12\x34\x00\x80\x80\x00")
	s.send(publish("x/b", "1") + publish("+/b", "2") + publish("b", "3"))
	s.expect(publish("b", "3"))
}

func TestWhatIsNotServedClosesTheConnection(t *testing.T) {
	for name, bytes := range map[string]string{
		"a PUBLISH with QoS 1":                "\x32\x06\x00\x01a\x00\x01x",
		"a PUBLISH shorter than its topic":    "\x30\x03\x00\x05a",
		"a PUBLISH without a topic":           "\x30\x00",
		"a SUBSCRIBE without an identifier":   "\x82\x01\x00",
		"a SUBSCRIBE that ends in its filter": "\x82\x06\x00\x01\x00\x09ab",
		"a SUBSCRIBE without a requested QoS": "\x82\x05\x00\x01\x00\x01a",
		"an UNSUBSCRIBE":                      "\xa2\x05\x00\x01\x00\x01a",
		"a DISCONNECT":                        "\xe0\x00",
		"a frame larger than the read buffer": publish("a", strings.Repeat("x", readBytesMax)),
	} {
		t.Run(name, func(t *testing.T) {
			address, _ := start(t)
			c := dial(t, address)
			_, _ = io.WriteString(c, bytes) // the last one may be closed before it is written
			c.expectClosed()
			dial(t, address)
		})
	}
}

func TestSlowReaderDelaysNobodyAndLosesNothing(t *testing.T) {
	address, _ := start(t)
	slow, fast, publisher := subscriber(t, address, "a"), subscriber(t, address, "a"), dial(t, address)
	frame := func(i int) string { return publish("a", fmt.Sprint(i)+strings.Repeat(".", 128<<10)) }
	const frames = 256 // 32 MiB: more than sockets hold, less than the limit
	for i := range frames {
		publisher.send(frame(i))
		fast.expect(frame(i))
	}
	for i := range frames {
		slow.expect(frame(i))
	}
	slow.expectNothingMore()
	publisher.send(publish("a", "afterwards"))
	slow.expect(publish("a", "afterwards"))
}

func TestReaderBeyondTheLimitIsClosedAndOthersAreNot(t *testing.T) {
	address, _ := start(t)
	slow, fast, publisher := subscriber(t, address, "a"), subscriber(t, address, "a"), dial(t, address)
	frame := publish("a", strings.Repeat(".", 200<<10))
	for range 2 * outboundBytesMax / len(frame) {
		publisher.send(frame)
		fast.expect(frame)
	}
	if n, err := io.Copy(io.Discard, slow.TCPConn); os.IsTimeout(err) || n >= outboundBytesMax {
		t.Fatalf("read %d bytes (%v), want less than the limit and an end", n, err)
	}
	fast.expectNothingMore()
}

func TestResetDoesNoHarm(t *testing.T) {
	address, _ := start(t)
	stays, publisher := subscriber(t, address, "a"), dial(t, address)
	for range 50 {
		leaves := subscriber(t, address, "a", "b", "#")
		publisher.send(publish("a", "1"))
		leaves.expect(publish("a", "1"))
		must(t, leaves.SetLinger(0)) // Close sends RST
		publisher.send(publish("a", "2"))
		must(t, leaves.Close())
		publisher.send(publish("b", "nobody's") + publish("a", "3"))
		stays.expect(publish("a", "1") + publish("a", "2") + publish("a", "3"))
	}
	// Who takes over a descriptor takes over no subscription.
	s := subscriber(t, address, "c")
	publisher.send(publish("a", "4") + publish("b", "5") + publish("c", "6"))
	s.expect(publish("c", "6"))
}

func TestAcceptedSocketsDoNotDelay(t *testing.T) {
	listener, port, err := listen(0)
	must(t, err)
	defer unix.Close(listener)
	conn, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", port))
	must(t, err)
	defer conn.Close()
	fd, errno := accept(listener)
	if errno != 0 {
		t.Fatal(errno)
	}
	defer closeSocket(fd)
	if on, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); err != nil || on == 0 {
		t.Fatalf("TCP_NODELAY is %d (%v)", on, err)
	}
}

func TestSignalsEndIt(t *testing.T) {
	for _, s := range []os.Signal{unix.SIGTERM, unix.SIGINT} {
		address, floor := start(t)
		dial(t, address)
		must(t, floor.Process.Signal(s))
		must(t, floor.Wait())
	}
}

func TestExitCodes(t *testing.T) {
	address, _ := start(t)
	_, taken, err := net.SplitHostPort(address)
	must(t, err)
	for _, c := range []struct {
		flags []string
		code  int
		says  string
	}{
		{[]string{"-port", taken}, exitPortTaken, "floor: listen on " + address + ": address already in use\n"},
		{[]string{"-port", "65536"}, exitUsage, "port between 0 and 65535"},
		{[]string{"-port", "x"}, exitUsage, "invalid value"},
		{[]string{"each"}, exitUsage, "takes no arguments"},
		{[]string{"-round", "5"}, exitUsage, "not defined"},
	} {
		floor := command(t, c.flags...)
		output, _ := floor.CombinedOutput() // its error is the exit code, where it ran at all
		if code := floor.ProcessState.ExitCode(); code != c.code || !strings.Contains(string(output), c.says) {
			t.Errorf("floor %v exits with %d and says %q", c.flags, code, output)
		}
	}
}
