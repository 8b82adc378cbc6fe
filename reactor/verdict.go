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

// judge finds the verdict, and a sentence why, from the bytes that wait in the broker and from what the kernel
// said at two times; a zero before stands for the connection's start.
func judge(waitingBytes int, before, now *KernelInfo) (Verdict, string) {
	busy, closed := now.Busy-before.Busy, now.ReceiverLimited-before.ReceiverLimited
	resent := now.Retransmits - before.Retransmits
	switch {
	case waitingBytes == 0:
		return VerdictHealthy, "Nothing waits for it."
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
