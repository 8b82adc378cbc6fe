package reactor

import "fmt"

// Verdict says whose fault it is that something waits for a client.
type Verdict string

// The verdicts.
const (
	// VerdictHealthy: nothing waits.
	VerdictHealthy Verdict = "healthy"
	// VerdictReader: the client does not read as fast as it is sent to.
	VerdictReader Verdict = "reader"
	// VerdictNetwork: the path to the client does not carry what it is sent.
	VerdictNetwork Verdict = "network"
	// VerdictBroker: the kernel would take more, and the broker is behind.
	VerdictBroker Verdict = "broker"
)

// judge finds the verdict, and a sentence why, from what the loop and the kernel said at two times; a zero before
// stands for the connection's start.
func judge(before, now *ClientInfo) (Verdict, string) {
	backlogBytes := now.WaitingBytes - now.QueueBytes
	if backlogBytes > 0 {
		return judgeKernel(backlogBytes, before.Kernel, now.Kernel)
	}
	acknowledged := now.Above.Delivered - before.Above.Delivered
	switch {
	case now.QueuedMessages == 0:
		return VerdictHealthy, "Nothing waits for it."
	case acknowledged > 0 && now.QueuedMessages <= now.Inflight:
		return VerdictHealthy, "It acknowledges what it is sent, and no more waits."
	case now.Kernel.SendQueueBytes > 0:
		return judgeKernel(now.QueueBytes, before.Kernel, now.Kernel)
	case now.Inflight == 0:
		return VerdictBroker, fmt.Sprintf("%d messages wait in the broker, and none is on its way.", now.QueuedMessages)
	case acknowledged == 0:
		return VerdictReader, fmt.Sprintf("It has got %d messages and acknowledges none; %d wait for that.",
			now.Inflight, now.QueuedMessages)
	default:
		return VerdictReader, fmt.Sprintf("It acknowledges more slowly than messages come: %d wait, %d of them sent.",
			now.QueuedMessages, now.Inflight)
	}
}

// judgeKernel is judge for a client whose socket has to take more.
func judgeKernel(waitingBytes int, before, now *KernelInfo) (Verdict, string) {
	busy, closed := now.Busy-before.Busy, now.ReceiverLimited-before.ReceiverLimited
	resent := now.Retransmits - before.Retransmits
	switch {
	case now.SendQueueBytes == 0:
		return VerdictBroker, fmt.Sprintf("%d bytes wait in the broker while the kernel's send queue is empty.",
			waitingBytes)
	case now.WindowBytes == 0:
		return VerdictReader, "Its receive window is zero: it does not read."
	case busy > 0 && 2*closed >= busy:
		return VerdictReader, fmt.Sprintf("Its receive window was full in %d %% of the time: it reads too slowly.",
			100*closed/busy)
	case now.RetryingSince > 0:
		return VerdictNetwork, fmt.Sprintf("Nothing comes back: the oldest segment was sent again %d times, RTT %v.",
			now.RetryingSince, now.RTT)
	case resent > 0:
		return VerdictNetwork, fmt.Sprintf("The path loses packets: %d were sent again just now, RTT %v.", resent, now.RTT)
	default:
		return VerdictNetwork, fmt.Sprintf("The path carries no more: %d bytes under way, RTT %v, %d kB/s.",
			now.UnackedBytes, now.RTT, now.DeliveryRate/1000)
	}
}
