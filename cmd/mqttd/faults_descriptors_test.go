package main_test

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A broker that starts with few descriptors takes the clients that fit, turns the rest away, and takes new ones
// when some have left.
func TestFaultFewDescriptors(t *testing.T) {
	requireOwnBroker(t)
	descriptors, asked := sized(200, 2000), sized(400, 6000)
	_, err := exec.LookPath("prlimit")
	require.NoError(t, err, "part of util-linux")
	f := beginFaultWith(t, "few-descriptors", "prlimit", "--nofile="+strconv.Itoa(descriptors), brokerProgram)
	for range 2 {
		peers, accepted := f.crowd(asked)
		assert.Greater(t, accepted, descriptors/5, "clients accepted")
		assert.Less(t, accepted, descriptors)
		for _, p := range peers {
			p.Close()
		}
		f.releases(0)
	}
	f.serves("clients have left")
	f.end()
}

// The limit of the running broker falls below what it has open: nobody gets in, nobody is thrown out. There is room
// again when the limit is raised, and when clients leave.
func TestFaultDescriptorLimitLowered(t *testing.T) {
	f := beginFault(t, "descriptor-limit-lowered")
	held := sized(50, 500)
	peers, accepted := f.crowd(held)
	require.Equal(t, held, accepted)

	const standard = 3 // input, output and error output stay open: nothing else can be opened
	former := f.limitDescriptors(standard)
	f.refusesCalmly(sized(20, 200))
	for _, p := range peers {
		require.NoError(t, p.ping(), "a client that was connected before")
	}
	f.limitDescriptors(former)
	f.serves("the limit is raised")

	f.limitDescriptors(uint64(f.footprint(t).descriptors)) // a few lower ones may be free
	asked := sized(50, 500)
	some, accepted := f.crowdWithin(asked, time.Second)
	assert.Less(t, accepted, asked, "clients that got in beyond the limit")
	for _, p := range append(peers, some...) {
		p.Close()
	}
	f.serves("clients have left")
	f.limitDescriptors(former)
	f.end()
}

// refusesCalmly checks that clients do not get in, and that the broker says so once and, in the full test, does not take
// a CPU for that.
func (f *fault) refusesCalmly(clients int) {
	f.t.Helper()
	before, begun, offset := f.footprint(f.t), time.Now(), len(f.log.String())
	refused, accepted := f.crowdWithin(clients, time.Second)
	assert.Zero(f.t, accepted, "clients that got in beyond the limit")
	require.False(f.t, f.hasExited(), "the broker has ended for want of descriptors")
	share := (f.footprint(f.t).cpuSeconds - before.cpuSeconds) / time.Since(begun).Seconds()
	f.t.Logf("%s: %.0f %% of a CPU meanwhile", f.name, 100*share)
	if *faultSizes == "full" && !raceDetector() {
		assert.Less(f.t, share, 0.7, "share of a CPU")
	}
	f.awaitLog(offset, cannotAccept)
	assert.LessOrEqual(f.t, strings.Count(f.log.String(), cannotAccept), 1+int(time.Since(begun).Minutes()),
		"one line a minute")
	for _, p := range refused {
		p.Close()
	}
}

// cannotAccept is what the broker's log says when it has no descriptors left.
const cannotAccept = "cannot accept a connection"

func (f *fault) serves(because string) {
	f.t.Helper()
	require.Eventually(f.t, func() bool { return serves(f.broker) }, faultPatience, 10*time.Millisecond,
		"room again: %s", because)
}

// limitDescriptors sets the soft limit of the running broker and returns what it was.
func (f *fault) limitDescriptors(n uint64) (former uint64) {
	f.t.Helper()
	var limit unix.Rlimit
	pid := f.cmd.Process.Pid
	require.NoError(f.t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &limit))
	former, limit.Cur = limit.Cur, n
	require.NoError(f.t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, nil))
	return former
}

// crowd connects so many clients at once and waits for each one's fate: CONNACK, or the end of its connection.
func (f *fault) crowd(n int) (peers []*peer, accepted int) {
	f.t.Helper()
	return f.crowdWithin(n, faultPatience)
}

// crowdWithin is crowd for clients of which some may be left waiting. Those that were refused are closed.
func (f *fault) crowdWithin(n int, within time.Duration) (peers []*peer, accepted int) {
	f.t.Helper()
	for i := range n {
		p, err := dialPeer(f.broker, 0)
		if err != nil {
			continue
		}
		f.t.Cleanup(func() { p.Close() })
		if p.send(connectPacket("crowd-"+strconv.Itoa(i))) == nil {
			peers = append(peers, p)
		}
	}
	deadline := time.Now().Add(within)
	for _, p := range peers {
		_ = p.SetReadDeadline(deadline) // fails when closed, as does the reading
		got, err := p.next()
		if err == nil && got.first == byteConnack && got.body[1] == 0 {
			accepted++
		} else if within == faultPatience {
			assert.NoError(f.t, p.awaitClosed(within), "a client that is not accepted")
			p.Close()
		}
		_ = p.SetReadDeadline(time.Time{})
	}
	return peers, accepted
}
