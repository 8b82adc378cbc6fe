package main_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// strangers speak something else than MQTT. What they get to say first is enough to see that.
var strangers = []struct{ name, says string }{
	{"HTTP GET", "GET / HTTP/1.1\r\nHost: broker:1883\r\n\r\n"},
	{"HTTP POST", "POST / HTTP/1.1\r\nHost: broker:1883\r\n\r\n"},
	{"PROXY v1", "PROXY TCP4 192.0.2.1 192.0.2.2 56324 1883\r\n"},
	{"PROXY v2", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\xdc\x04\x07\x5b"},
	{"SSH", "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"},
	{"zeros", strings.Repeat("\x00", 64)},
	{"PUBLISH before CONNECT, part of it", "\x30\x64\x00\x01a"},
	{"PINGREQ before CONNECT", "\xc0\x00"},
}

// Who does not speak MQTT is closed at once, not when the time to connect is over, and the debug log says why.
func TestFaultStrangers(t *testing.T) {
	f := beginFault(t, "strangers", "-connect-timeout", neverTimeout)
	for _, s := range strangers {
		offset := len(f.log.String())
		p := newStranger(t, f.broker, 0)
		require.NoError(t, p.send([]byte(s.says)))
		assert.NoError(t, p.awaitClosed(faultPatience), s.name)
		p.Close()
		t.Logf("%s: the log says %v", s.name, f.awaitReasons(offset))
	}
	f.end()
}

// Who speaks TLS to the plain port is closed at once, and the log says that this is what is wrong.
func TestFaultTLS(t *testing.T) {
	f := beginFault(t, "tls", "-connect-timeout", neverTimeout)
	offset := len(f.log.String())
	p := newStranger(t, f.broker, 0)
	require.NoError(t, p.SetDeadline(time.Now().Add(faultPatience)))
	err := tls.Client(p.TCPConn, &tls.Config{InsecureSkipVerify: true}).Handshake()
	assert.Error(t, err)
	assert.False(t, isTimeout(err), "closed at once: %v", err)
	p.Close()
	reasons := f.awaitReasons(offset)
	t.Logf("TLS: the log says %v", reasons)
	assert.Contains(t, fmt.Sprint(reasons), "TLS", "the log names the mistake")
	f.end()
}

// Random bytes are closed at once, unless they begin like a CONNECT, of which more might come.
func TestFaultRandomBytes(t *testing.T) {
	f := beginFault(t, "random-bytes", "-connect-timeout", neverTimeout)
	random := rand.New(rand.NewPCG(3, 4))
	for i := range sized(100, 5000) {
		says := make([]byte, 1+random.IntN(200))
		for k := range says {
			says[k] = byte(random.Uint32())
		}
		if says[0] == byteConnect {
			continue
		}
		p := newStranger(t, f.broker, 0)
		require.NoError(t, p.send(says))
		err := p.awaitClosed(faultPatience)
		p.Close()
		if !assert.NoError(t, err, "stranger %d said %x", i, says) {
			break // each takes long
		}
	}
	f.end()
}

// awaitReasons waits until the log has told the end of a connection that was never a client's, and returns the
// reasons.
func (f *fault) awaitReasons(offset int) (reasons []string) {
	f.t.Helper()
	f.awaitLog(offset, `"reason":`)
	for _, line := range strings.Split(f.log.String()[offset:], "\n") {
		var event struct{ Reason string }
		if json.Unmarshal([]byte(line), &event) == nil && event.Reason != "" {
			reasons = append(reasons, event.Reason)
		}
	}
	return reasons
}
