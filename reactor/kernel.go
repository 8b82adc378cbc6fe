package reactor

import (
	"time"

	"golang.org/x/sys/unix"
)

// KernelInfo is what the kernel knows of a connection. Totals are since its start.
type KernelInfo struct {
	RTT, RTTVar    time.Duration
	Retransmits    uint64 // segments
	RetryingSince  int    // retransmissions of the oldest segment that have brought nothing so far
	WindowBytes    int    // what the client has room for, as it said last
	UnackedBytes   int    // under way
	SendQueueBytes int    // under way, and waiting in the kernel

	Busy            time.Duration // with something in the send queue
	ReceiverLimited time.Duration // of it: the client had no room
	SenderLimited   time.Duration // of it: the send buffer was too small for the path
	DeliveryRate    uint64        // bytes a second, of late
}

// readKernel returns nil when the descriptor is not that of a TCP connection. It costs two system calls, about
// 2 µs. It is called on the connection's loop, which alone knows that the descriptor is still its own.
func readKernel(fd int) *KernelInfo {
	tcp, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return nil
	}
	queue, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil {
		return nil
	}
	return &KernelInfo{
		RTT:             microseconds(uint64(tcp.Rtt)),
		RTTVar:          microseconds(uint64(tcp.Rttvar)),
		Retransmits:     uint64(tcp.Total_retrans),
		RetryingSince:   int(tcp.Retransmits),
		WindowBytes:     int(tcp.Snd_wnd),
		UnackedBytes:    max(0, queue-int(tcp.Notsent_bytes)),
		SendQueueBytes:  queue,
		Busy:            microseconds(tcp.Busy_time),
		ReceiverLimited: microseconds(tcp.Rwnd_limited),
		SenderLimited:   microseconds(tcp.Sndbuf_limited),
		DeliveryRate:    tcp.Delivery_rate,
	}
}

func microseconds(n uint64) time.Duration { return time.Duration(n) * time.Microsecond }
