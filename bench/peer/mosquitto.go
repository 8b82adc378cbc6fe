package peer

import (
	"context"
	"errors"
	"strings"
)

// mosquittoConfig is chosen by measurement, 50 publishers and 50 subscribers on two cores:
//
//   - set_tcp_nodelay stays off. On, it costs two thirds more CPU time per delivery (5.6 s instead of
//     3.4 s per million) and a third of the rate, because mosquitto sends each message by itself
//     and the kernel then cannot join them. Off costs latency when messages follow each other closely:
//     p99 is 10 ms and more at 100,000 deliveries/s. So there is mosquitto-nodelay too.
//   - max_queued_messages 0 drops nothing; logs, $SYS and persistence off make no measurable
//     difference under load. Errors are logged, for Start to quote.
//   - max_inflight_messages 0 is without a bound, as max_queued_messages is. With the default of 20, version
//     2.0.11 sends 20 more messages for each PUBCOMP as soon as any wait, walks ever longer lists and stands
//     still after some seconds of QoS 2: 20 then costs half of the rate, and a fifth at QoS 1.
//   - user root keeps it from changing its user when root runs it, by which it would lose the death
//     signal.
const mosquittoConfig = `user root
listener {port} 127.0.0.1
allow_anonymous true
log_type error
persistence false
max_queued_messages 0
max_inflight_messages 0
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
			"on, it costs mosquitto two thirds more CPU time per delivery. No bound on messages in flight either: the default of 20 " +
			"costs a fifth of the rate at QoS 1 and half of it at QoS 2, where messages then stand still.",
	}, nil
}

// mosquittoPersistent is mosquitto that keeps sessions on disk, as often as it can: it writes all of them
// each time, and has no setting by which an acknowledgement waits for the disk.
func (f *finder) mosquittoPersistent(ctx context.Context) (Peer, error) {
	p, err := f.mosquitto(ctx)
	p.Title = "mosquitto, persistence"
	p.Config = strings.Replace(p.Config, "persistence false\n", "persistence true\npersistence_location {dir}/\nautosave_interval 1\n", 1)
	p.Settings = "As mosquitto, with persistence: everything it keeps is written to {dir} each second (autosave_interval 1, by default 30 minutes), " +
		"so up to a second is lost when it dies. It has nothing by which an acknowledgement waits for the disk."
	return p, err
}

// mosquittoNoDelay is mosquitto with the setting that is best for latency.
func (f *finder) mosquittoNoDelay(ctx context.Context) (Peer, error) {
	p, err := f.mosquitto(ctx)
	p.Title = "mosquitto, set_tcp_nodelay"
	p.Config += "set_tcp_nodelay true\n"
	p.Settings = "Best latency: as mosquitto, with set_tcp_nodelay on, so that no message waits for the acknowledgement of the one before."
	return p, err
}
