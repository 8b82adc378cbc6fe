package bench

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// sentMessages returns a publisher whose messages 1 to n are on their way.
func sentMessages(t *testing.T, qos, n int) *publisher {
	t.Helper()
	p := newPublisher(newFlow(0, 1, 1), 0, []string{"a"}, testTag, qos, PayloadBytesMin, n)
	fds := socketPair(t)
	p.fd = fds[0]
	require.NoError(t, p.send(n, 0, 0))
	require.False(t, p.blocked())
	return p
}

func TestPublisherTakesWhatItAskedFor(t *testing.T) {
	tests := map[string]struct {
		qos      int
		answers  []byte
		inFlight int
		releases []byte
	}{
		"PUBACK in any order":          {1, []byte{0x40, 2, 0, 2, 0x40, 2, 0, 1}, 1, nil},
		"PUBREC leaves it in flight":   {2, []byte{0x50, 2, 0, 1}, 3, []byte{0x62, 2, 0, 1}},
		"PUBCOMP ends it":              {2, []byte{0x50, 2, 0, 3, 0x70, 2, 0, 3}, 2, []byte{0x62, 2, 0, 3}},
		"the beginning of one is kept": {1, []byte{0x40, 2, 0, 1, 0x40, 2}, 2, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for cut := range test.answers {
				p := sentMessages(t, test.qos, 3)
				require.NoError(t, p.acknowledge(test.answers[:cut]))
				require.NoError(t, p.acknowledge(test.answers[cut:]))
				assert.Equal(t, test.inFlight, p.inFlight())
				assert.Len(t, p.inUse, test.inFlight)
				assert.Equal(t, string(test.releases), string(p.releases))
			}
		})
	}
}

func TestPublisherRefusesWhatItDidNotAskFor(t *testing.T) {
	tests := map[string]struct {
		qos     int
		answers []byte
		want    string
	}{
		"anything at QoS 0":        {0, []byte{0x40, 2, 0, 1}, "packet 0x40, which a publisher did not ask for"},
		"one never sent":           {1, []byte{0x40, 2, 0, 4}, "packet 0x40, which a publisher did not ask for"},
		"one acknowledged before":  {1, []byte{0x40, 2, 0, 1, 0x40, 2, 0, 1}, "packet 0x40, which a publisher did not ask for"},
		"PUBREC of one never sent": {2, []byte{0x50, 2, 0, 4}, "packet 0x50, which a publisher did not ask for"},
		"another length":           {1, []byte{0x40, 3, 0, 1, 0}, "packet 0x40, which a publisher did not ask for"},
		"PUBACK at QoS 2":          {2, []byte{0x40, 2, 0, 1}, "packet 0x40, an acknowledgement expected"},
		"PUBREC at QoS 1":          {1, []byte{0x50, 2, 0, 1}, "packet 0x50, an acknowledgement expected"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := sentMessages(t, test.qos, 3).acknowledge(test.answers)
			require.ErrorIs(t, err, errMalformed)
			assert.ErrorContains(t, err, test.want)
		})
	}
}

func socketPair(t *testing.T) [2]int {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = unix.Close(fds[0])
		_ = unix.Close(fds[1])
	})
	return fds
}

func TestPublisherAtQoS1AllocatesNothing(t *testing.T) {
	const window = 20
	p := newPublisher(newFlow(0, 1, 1), 0, []string{"a"}, testTag, 1, PayloadBytesMin, window)
	fds := socketPair(t)
	p.fd = fds[0]
	sink, acks := make([]byte, 64<<10), make([]byte, 0, window*ackBytes)
	turn := func() {
		from := p.flow.sent
		require.NoError(t, p.send(window, 0, 0))
		_, err := unix.Read(fds[1], sink)
		require.NoError(t, err)
		acks = acks[:0]
		for i := range uint64(window) {
			acks = appendAck(acks, packetPuback, uint16(1+(from+i)%inFlightMax))
		}
		require.NoError(t, p.acknowledge(acks))
	}
	assert.Zero(t, testing.AllocsPerRun(10_000, turn), "identifiers come around three times")
	assert.Zero(t, p.inFlight())
	assert.Empty(t, p.inUse)
}
