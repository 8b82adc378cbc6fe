package reactor

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

func TestFitLimits(t *testing.T) {
	for _, test := range []struct {
		name                    string
		descriptors             uint64
		loops, wanted           int
		maxClients, connections int
	}{
		{"plenty: as wanted, and room to refuse", 20_000, 2, 10_000, 10_000, 10_256},
		{"a limit of 1024 lowers it", 1024, 2, 10_000, 802, 916},
		{"the smallest that starts", 110, 2, 10_000, 1, 2},
		{"unlimited", ^uint64(0), 8, 1_000_000, 1_000_000, 1_000_256},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := fitLimits(test.descriptors, test.loops, test.wanted)
			require.NoError(t, err)
			assert.Equal(t, test.maxClients, got.MaxClients)
			assert.Equal(t, test.connections, got.Connections)
			assert.LessOrEqual(t, uint64(got.Connections+descriptorMargin+descriptorsOfAcceptor+descriptorsPerLoop*test.loops), test.descriptors)
		})
	}
	_, err := fitLimits(109, 2, 10_000)
	assert.ErrorContains(t, err, "ulimit -n")
}

func TestConfigValidateReportsEveryFault(t *testing.T) {
	bad := Config{Port: -1, Loops: 0, MaxClients: 0, MaxPacketBytes: 1, ClientBufferBytes: 1, ConnectTimeout: time.Millisecond,
		SysInterval: time.Millisecond, ConnectRate: -1, QueuedMessagesMax: 0, QueuedBytesMax: 0,
		TotalQueueBytes: 1, SessionsMax: -1, SessionExpiry: SessionExpiryMax + 1}
	err := errors.Join(errors.New("faults:"), bad.Validate())
	for _, name := range []string{"port", "loops", "max-clients", "max-packet-size", "client-buffer", "connect-timeout", "sys-interval", "connect-rate", "connect-burst",
		"max-inflight", "max-queued-messages", "max-queued-bytes", "total-queue", "max-sessions", "session-expiry", "sync", "sync-interval"} {
		assert.ErrorContains(t, err, "\n"+name+" ")
	}
	_, err = New(bad)
	assert.Error(t, err)
	good := DefaultConfig()
	assert.NoError(t, good.Validate())
}

// Whoever reads in the log that a client was turned away for a limit learns how far it was beyond, and of the flag.
func TestTheLogNamesTheLimitThatWasPassed(t *testing.T) {
	var log text
	s := start(t, func(c *Config) {
		c.MaxPacketBytes, c.ConnectBytesMax, c.ClientIDBytesMax, c.WillBytesMax, c.MaxClients = 1000, 200, 30, 40, 1
		c.Topics.Levels, c.Log = 3, zerolog.New(&log).Level(zerolog.DebugLevel)
	})
	ends := func(want string, sent ...[]byte) {
		t.Helper()
		c := dial(t, s)
		c.send(bytes.Join(sent, nil))
		eventually(t, "the log tells: "+want, func() bool { return strings.Contains(log.String(), want) })
	}
	connects := func(clientID, will string) []byte {
		return codec.AppendConnect(nil, &codec.Connect{Version: codec.Version311, ClientID: []byte(clientID), CleanSession: true,
			HasWill: will != "", Will: codec.Will{Topic: []byte("a/b/c"), Payload: []byte(will)}})
	}
	ends("CONNECT: packet has more bytes than allowed: 201 of at most 200; see -max-connect-size", []byte("\x10\xc6\x01"))
	ends("PUBLISH: packet has more bytes than allowed: 1001 of at most 1000; see -max-packet-size",
		connects("a", ""), []byte("\x30\xe6\x07"))
	ends("topic name has more levels than allowed: 4 of at most 3; see -max-topic-length and -max-topic-levels",
		connects("a", ""), []byte("\x30\x09\x00\x07a/b/c/d"))
	ends("client identifier of 31 bytes: at most 30 are allowed", connects(strings.Repeat("i", 31), ""))
	ends("will payload of 41 bytes: at most 40 are allowed", connects("a", strings.Repeat("w", 41)))
	dial(t, s).sendConnect("a")
	eventually(t, "it has a place", func() bool { return s.Stats().Clients == 1 })
	ends("see -max-clients", connects("b", ""))
}
