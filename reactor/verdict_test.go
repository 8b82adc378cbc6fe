package reactor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestJudge(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		name        string
		waiting     int
		before, now KernelInfo
		want        Verdict
		why         string
	}{
		{"nothing waits", 0, KernelInfo{}, KernelInfo{SendQueueBytes: 1000}, VerdictHealthy, "Nothing waits"},
		{"nothing waits though the window is zero", 0, KernelInfo{}, KernelInfo{SendQueueBytes: 9}, VerdictHealthy, ""},
		{"the kernel has nothing to send", 70_000, KernelInfo{}, KernelInfo{WindowBytes: 1000},
			VerdictBroker, "70000 bytes wait"},
		{"the window is zero", 1, KernelInfo{}, KernelInfo{SendQueueBytes: 1}, VerdictReader, "window is zero"},
		{"a zero window that is probed looks like loss", 1, KernelInfo{},
			KernelInfo{SendQueueBytes: 1, RetryingSince: 5, Retransmits: 5}, VerdictReader, "window is zero"},
		{"the window was full half of the time", 1, KernelInfo{Busy: 1000 * ms, ReceiverLimited: 10 * ms},
			KernelInfo{SendQueueBytes: 1, WindowBytes: 100, Busy: 1100 * ms, ReceiverLimited: 60 * ms},
			VerdictReader, "50 %"},
		{"the window was full long ago", 1, KernelInfo{Busy: 1000 * ms, ReceiverLimited: 900 * ms},
			KernelInfo{SendQueueBytes: 1, WindowBytes: 100, Busy: 1100 * ms, ReceiverLimited: 904 * ms},
			VerdictNetwork, "carries no more"},
		{"packets are lost", 1, KernelInfo{Retransmits: 7},
			KernelInfo{SendQueueBytes: 1, WindowBytes: 100, Retransmits: 10, RTT: 80 * ms},
			VerdictNetwork, "3 were sent again just now, RTT 80ms"},
		{"packets were lost long ago", 1, KernelInfo{Retransmits: 7}, KernelInfo{SendQueueBytes: 1, WindowBytes: 100,
			Retransmits: 7, RTT: 80 * ms, UnackedBytes: 14_000, DeliveryRate: 175_000},
			VerdictNetwork, "14000 bytes under way, RTT 80ms, 175 kB/s"},
		{"nothing comes back", 1, KernelInfo{Retransmits: 2},
			KernelInfo{SendQueueBytes: 1, WindowBytes: 100, Retransmits: 2, RetryingSince: 2},
			VerdictNetwork, "sent again 2 times"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, why := judge(test.waiting, &test.before, &test.now)
			assert.Equal(t, test.want, got)
			assert.Contains(t, why, test.why)
		})
	}
}
