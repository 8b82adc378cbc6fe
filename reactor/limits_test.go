package reactor

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
		SysInterval: time.Millisecond, ConnectRate: -1, QueuedMessagesMax: QueuedMessagesLimit + 1, QueuedBytesMax: -1,
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
