package main_test

import (
	"flag"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var retainedCount = flag.Int("retained", 20_000, "messages of TestRetainedAtScale; 1000000 take minutes")

// The load of TestRetainedAtScale. (chosen)
const (
	retainedPayload   = 100    // bytes
	retainedPerSecond = 20_000 // published, at most
	smallSlice        = 20_000
	manySlices        = 10
)

// Many retained messages: stored with and without a directory to save them in, read by all kinds of filters, and
// there again after a restart, with a witness beside each of these. What is missing or lost fails the test; how long
// things take, and how late the witness is served, is reported only.
func TestRetainedAtScale(t *testing.T) {
	requireOwnBroker(t)
	if *retainedCount <= 20_000 {
		t.Parallel()
	}
	require.GreaterOrEqual(t, *retainedCount, 1000, "-retained")
	s := newScale(t, *retainedCount)
	defer s.report()

	inMemory, saving := s.start(), s.start("-data-dir", t.TempDir(), "-sync", "interval")
	alone := s.row("witness alone")
	s.during(alone, saving, func() { time.Sleep(time.Duration(len(s.slices)) * time.Second / 2) })
	s.storeAll(inMemory, saving)
	inMemory.stop(t)

	s.readAll(saving)
	s.readSome(saving)
	again := s.restart(saving)
	s.readAll(again)
}

// storeAll has both brokers store all messages, slice by slice in turns, so that both meet the same moods of a machine
// that has other work too.
func (s *scale) storeAll(inMemory, saving *scaleBroker) {
	s.t.Helper()
	storing, storingToSave := s.row("stored in memory"), s.row("stored, being saved")
	saved := s.row("until all is saved")
	before, beforeSaving := s.resident(inMemory), s.resident(saving)
	for _, slice := range s.slices {
		s.during(storing, inMemory, func() { s.publish(inMemory, slice) })
		storing.messages += len(slice)
		s.during(storingToSave, saving, func() { s.publish(saving, slice) })
		storingToSave.messages += len(slice)
		s.during(saved, saving, func() { s.awaitSaved(saving) })
	}
	for _, b := range []*scaleBroker{inMemory, saving} {
		assert.Equal(s.t, len(s.topics), metric(s.t, b.admin, "mqttd_retained_messages"))
		assert.Zero(s.t, metric(s.t, b.admin, "mqttd_retained_refused_total"))
	}
	s.note("memory, nothing saved", s.perMessage(inMemory, before))
	s.note("memory with -data-dir", s.perMessage(saving, beforeSaving))
	s.note("transactions", strconv.Itoa(metric(s.t, saving.admin, "mqttd_store_commits_total")))
	s.note("file", strconv.Itoa(metric(s.t, saving.admin, "mqttd_store_file_bytes")>>20)+" MiB")
}

// readAll has a subscriber of everything at QoS 0 and one at QoS 1.
func (s *scale) readAll(b *scaleBroker) {
	s.t.Helper()
	for _, qos := range []byte{0, 1} {
		read := s.row("# read at QoS " + strconv.Itoa(int(qos)))
		s.during(read, b, func() { read.messages = s.read(b, qos, "#", "marker") })
	}
}

// readSome has subscribers of one device, and of one kind of reading of all devices in a place.
func (s *scale) readSome(b *scaleBroker) {
	s.t.Helper()
	device := s.row("one device")
	s.during(device, b, func() {
		device.messages = s.read(b, 1, deviceOf(len(s.topics)/2)+"/#", deviceOf(len(s.topics)/2)+"/marker")
	})
	places := s.row("one + in the middle")
	s.during(places, b, func() {
		places.messages = s.read(b, 1, hallOf(0)+"/+/temperature", hallOf(0)+"/marker/temperature")
	})
}

// restart stops a broker and starts it again in its directory.
func (s *scale) restart(b *scaleBroker) *scaleBroker {
	s.t.Helper()
	begun := time.Now()
	require.NoError(s.t, b.cmd.Process.Signal(syscall.SIGTERM))
	await(s.t, b.exited, "the broker to end")
	require.Equal(s.t, 0, b.cmd.ProcessState.ExitCode())
	s.note("SIGTERM to the end", time.Since(begun).Round(time.Millisecond).String())
	begun = time.Now()
	again := s.start(b.flags...)
	s.note("start to listening", time.Since(begun).Round(time.Millisecond).String())
	require.Equal(s.t, len(s.topics), metric(s.t, again.admin, "mqttd_retained_messages"))
	s.note("memory after the restart", s.perMessage(again, residence{}))
	return again
}

// awaitSaved waits until everything is on disk.
func (s *scale) awaitSaved(b *scaleBroker) {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return metric(s.t, b.admin, "mqttd_store_pending_changes") == 0 },
		faultPatience, 50*time.Millisecond, "something is not saved")
	require.Zero(s.t, metric(s.t, b.admin, "mqttd_store_failures_total"))
}
