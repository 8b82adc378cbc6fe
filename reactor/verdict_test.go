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
			got, why := judge(&ClientInfo{Kernel: &test.before}, &ClientInfo{Kernel: &test.now, WaitingBytes: test.waiting})
			assert.Equal(t, test.want, got)
			assert.Contains(t, why, test.why)
		})
	}
}

// Messages that wait for acknowledgements are judged by these, unless the socket takes no more.
func TestJudgeAboveQoS0(t *testing.T) {
	empty, full := KernelInfo{WindowBytes: 1000}, KernelInfo{SendQueueBytes: 1000}
	for _, test := range []struct {
		name             string
		queued, inflight int
		acknowledged     uint64 // between the two looks
		now              KernelInfo
		want             Verdict
		why              string
	}{
		{"nothing waits", 0, 0, 7, empty, VerdictHealthy, "Nothing waits"},
		{"it acknowledges", 20, 20, 100, full, VerdictHealthy, "It acknowledges"},
		{"it acknowledges nothing", 30, 20, 0, empty, VerdictReader, "20 messages and acknowledges none; 30 wait"},
		{"it acknowledges too slowly", 30, 20, 1, empty, VerdictReader, "30 wait, 20 of them sent"},
		{"it does not read", 30, 20, 0, full, VerdictReader, "window is zero"},
		{"the broker does not send", 30, 0, 0, empty, VerdictBroker, "30 messages wait"},
	} {
		t.Run(test.name, func(t *testing.T) {
			info := ClientInfo{WaitingBytes: 70 * test.queued, QueueBytes: 70 * test.queued, QueuedMessages: test.queued}
			before, now := info, info
			before.Above.Delivered, before.Kernel = 5, &KernelInfo{}
			now.Above.Delivered, now.Kernel, now.Inflight = 5+test.acknowledged, &test.now, test.inflight
			got, why := judge(&before, &now)
			assert.Equal(t, test.want, got)
			assert.Contains(t, why, test.why)
		})
	}
}
