package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"mqttd/reactor"
)

// drainMax bounds how long a stop waits for slow readers. (chosen)
const drainMax = 3 * time.Second

// serve runs the broker until a signal and returns the exit code.
func serve(c command, o configuration) int {
	signal.Ignore(syscall.SIGPIPE) // a log reader that goes away must not take the broker along
	signals, hangups := make(chan os.Signal, 3), make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT) // while the data directory is read they wait
	signal.Notify(hangups, syscall.SIGHUP)
	zerolog.SetGlobalLevel(o.logLevel)
	log, flushLog := newLog(o.options, os.Stderr)
	defer flushLog()
	o.config.Log, o.config.Version = log, version
	if o.config.DataDir != "" {
		tuneForSaving()
	}
	server, err := reactor.New(o.config)
	if err != nil {
		log.Error().Err(err).Msg("cannot start")
		if errors.Is(err, reactor.ErrDataDir) && !errors.Is(err, reactor.ErrDataDirHeld) {
			return exitFailed // starting again does not help
		}
		return exitTryAgain // flags were checked: what is missing is a resource
	}
	warn(log, o.config, server.Limits())
	console, code := openAdmin(log, o.options, server)
	if code != exitOK {
		_ = server.Close() // it has saved nothing
		return code
	}
	defer closeAdmin(console)
	ended := make(chan error, 1)
	go func() { ended <- server.Run() }()
	select {
	case <-server.Listening():
		announce(log, o.config, c.file, server)
		tellOverrides(log, &o)
		serveAdmin(log, console)
		reloader := reloader{command: c, inForce: o, server: server, log: log}
		go reloader.serve(hangups)
		return wait(log, server, signals, ended)
	case err := <-ended:
		return failed(log, o.config, err)
	}
}

// tuneForSaving keeps saving out of the loops' way, unless the environment says how the runtime is to be set. The
// writer waits in system calls, which must not be in a loop's place. Each change leaves garbage, and while it is
// collected loops wait for a processor: so that is done at three times what is in use, not at twice, as long as this
// is less than half of the memory. (measured by make scale: p99 of others while 300,000 retained messages are saved
// 0.96 ms, 1.79 ms without)
func tuneForSaving() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetGCPercent(gcPercentSaving)
	debug.SetMemoryLimit(int64(reactor.Memory() / 2))
}

const gcPercentSaving = 200

// wait serves until a signal comes, then stops.
func wait(log zerolog.Logger, server *reactor.Server, signals <-chan os.Signal, ended <-chan error) int {
	select {
	case err := <-ended:
		log.Error().Err(err).Msg("stopped by a fault")
		return exitFailed
	case s := <-signals:
		log.Info().Stringer("signal", s).Stringer("within", drainMax).Msg("stopping: sending what is queued")
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainMax)
	defer cancel()
	unsent := make(chan int, 1)
	go func() { unsent <- server.Shutdown(ctx) }()
	code := exitOK
	for {
		select {
		case s := <-signals:
			if code != exitOK {
				log.Error().Stringer("signal", s).Msg("ended by a third signal: not all is saved")
				return exitFailed
			}
			log.Warn().Stringer("signal", s).Msg("stopped at once by a second signal: what is queued is not sent, but saved")
			code = exitFailed
			cancel()
		case err := <-ended:
			if err != nil {
				log.Error().Err(err).Msg("stopped by a fault")
				return exitFailed
			}
			summary(log, server.Stats(), <-unsent)
			return code
		}
	}
}

func warn(log zerolog.Logger, c reactor.Config, l reactor.Limits) {
	if l.MaxClients < c.MaxClients {
		log.Warn().Int("wanted", c.MaxClients).Int("max_clients", l.MaxClients).Uint64("descriptors", l.Descriptors).
			Msg("max-clients lowered to fit the descriptor limit: raise that with ulimit -n or LimitNOFILE")
	}
	if cpus := runtime.NumCPU(); c.Loops > cpus {
		log.Warn().Int("loops", c.Loops).Int("cpus", cpus).Msg("more event loops than CPUs cost throughput")
	}
}

func announce(log zerolog.Logger, c reactor.Config, file string, server *reactor.Server) {
	l := server.Limits()
	event := log.Info().Str("version", version).Str("listener", server.Addr()).Int("loops", c.Loops).
		Int("max_clients", l.MaxClients)
	if file != "" {
		event = event.Str("config", file)
	}
	event.Msg("mqttd listens for MQTT 3.1 and 3.1.1, anyone may connect")
	log.Info().Int("connections", l.Connections).Uint64("descriptors", l.Descriptors).
		Stringer("connect_timeout", c.ConnectTimeout).Int("connect_rate", c.ConnectRate).Int("connect_burst", c.ConnectBurst).
		Int("max_connect_size", c.ConnectBytesMax).Int("max_packet_size", c.MaxPacketBytes).
		Int("client_buffer", c.ClientBufferBytes).Int("total_buffer", l.TotalBufferBytes).
		Stringer("slow_policy", c.SlowPolicy).Stringer("stall_timeout", c.StallTimeout).
		Int("max_topic_length", c.Topics.Bytes).Int("max_topic_levels", c.Topics.Levels).
		Int("max_filters", c.FiltersMax).Int("max_subscribe_filters", c.SubscribeFiltersMax).
		Int("max_retained", c.RetainedMessagesMax).Int("max_retained_bytes", c.RetainedBytesMax).
		Int("max_client_id", c.ClientIDBytesMax).Int("max_will_size", c.WillBytesMax).Int("log_rate", c.LogLinesPerSecond).
		Int("max_inflight", c.MaxInflight).Int("max_queued_messages", c.QueuedMessagesMax).
		Int("max_queued_bytes", c.QueuedBytesMax).Int("total_queue", l.TotalQueueBytes).
		Int("max_sessions", l.Sessions).Stringer("session_expiry", c.SessionExpiry).
		Stringer("sys_interval", c.SysInterval).Msg("limits in force")
}

// failed tells why the broker did not come to listen.
func failed(log zerolog.Logger, c reactor.Config, err error) int {
	if errors.Is(err, reactor.ErrInUse) {
		log.Error().Err(err).Int("port", c.Port).
			Msgf("port %d is in use, by another broker perhaps: stop that, or choose a port with -port", c.Port)
		return exitTryAgain
	}
	log.Error().Err(err).Msg("cannot listen")
	return exitFailed
}

// summary tells at the end what went through and what was lost.
func summary(log zerolog.Logger, st reactor.Stats, unsent int) {
	all := st.Total()
	event := log.Info().Uint64("connects", st.Connects).
		Uint64("publishes", st.Publishes()).
		Uint64("deliveries", all.Delivered).Uint64("dropped", all.Dropped.Total()).
		Dict("dropped_by", droppedBy(all.Dropped))
	if unsent >= 0 { // or the loops did not answer in time
		event = event.Int("unsent_bytes", unsent)
	}
	event.Msg("stopped")
}

// droppedBy returns what was lost by reason.
func droppedBy(dropped reactor.Losses) *zerolog.Event {
	by := zerolog.Dict()
	for reason, n := range dropped {
		if n > 0 {
			by = by.Uint64(reactor.Reason(reason).String(), n)
		}
	}
	return by
}
