package peer

import (
	"context"
	"errors"
)

// mosquittoConfig is chosen by measurement, 50 publishers and 50 subscribers on two cores:
//
//   - set_tcp_nodelay stays off. On, it costs two thirds more CPU time per delivery (5.6 s instead of
//     3.4 s per million) and a third of the rate, because mosquitto sends each message by itself
//     and the kernel then cannot join them. Off costs latency when messages follow each other closely:
//     p99 is 10 ms and more at 100,000 deliveries/s. So there is mosquitto-nodelay too.
//   - max_queued_messages 0 drops nothing; logs, $SYS and persistence off make no measurable
//     difference under load. Errors are logged, for Start to quote.
//   - user root keeps it from changing its user when root runs it, by which it would lose the death
//     signal.
const mosquittoConfig = `user root
listener {port} 127.0.0.1
allow_anonymous true
log_type error
persistence false
max_queued_messages 0
sys_interval 0
`

func (f *finder) mosquitto(ctx context.Context) (Peer, error) {
	path, err := program("mosquitto")
	if err != nil {
		path, err = program("/usr/sbin/mosquitto") // Debian keeps it from the PATH of users
	}
	if err != nil {
		return Peer{}, errors.New("no program mosquitto in PATH: apt-get install mosquitto")
	}
	return Peer{
		Title:   "mosquitto",
		Version: f.version(ctx, "mosquitto version ", path, "-h"),
		Command: []string{path, "-c", configFile},
		Config:  mosquittoConfig,
		Settings: "Best throughput: no persistence, no $SYS, no bound on queues, only errors logged. set_tcp_nodelay is off, as by default: " +
			"on, it costs mosquitto two thirds more CPU time per delivery.",
	}, nil
}

// mosquittoNoDelay is mosquitto with the setting that is best for latency.
func (f *finder) mosquittoNoDelay(ctx context.Context) (Peer, error) {
	p, err := f.mosquitto(ctx)
	p.Title = "mosquitto, set_tcp_nodelay"
	p.Config += "set_tcp_nodelay true\n"
	p.Settings = "Best latency: as mosquitto, with set_tcp_nodelay on, so that no message waits for the acknowledgement of the one before."
	return p, err
}
