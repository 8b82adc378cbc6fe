package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Broker is a running peer.
type Broker struct {
	Peer Peer
	// PID is the process that was started. A script's is not the one that serves, unless it execs.
	PID int
	// Port is the TCP port on 127.0.0.1.
	Port int

	child   *child
	dir     string
	limits  limits
	asked   atomic.Bool // to end, by Stop
	stop    sync.Once
	stopErr error // guarded by stop
}

// limits are the times that a broker is given.
type limits struct {
	start time.Duration // to accept CONNECT
	probe time.Duration // to answer one attempt: a broker may lose a connection while it starts
	stop  time.Duration // to end after SIGTERM
}

// defaultLimits are chosen: a JVM needs several seconds to start.
var defaultLimits = limits{start: 20 * time.Second, probe: 2 * time.Second, stop: 5 * time.Second}

// Start starts the peer on a free port of 127.0.0.1, and returns when it answers CONNECT with an
// accepting CONNACK. It fails, quoting the last lines the program wrote, when the program ends or
// does not accept within 20 s. ctx bounds the start only; the broker runs until Stop, and dies with
// this process.
//
// The first Start raises this process' soft limit of descriptors to the hard one, for the brokers
// to inherit: not all of them do it themselves.
func (p Peer) Start(ctx context.Context) (*Broker, error) { return p.start(ctx, defaultLimits) }

func (p Peer) start(ctx context.Context, l limits) (*Broker, error) {
	if err := raiseDescriptorLimit(); err != nil {
		return nil, err
	}
	reserved, err := reservePort()
	if err != nil {
		return nil, err
	}
	defer reserved.release()
	dir, err := os.MkdirTemp("", "mqttbench-*")
	if err != nil {
		return nil, fmt.Errorf("peer: folder for %s: %w", p.Name, err)
	}
	b := &Broker{Peer: p, Port: reserved.port, dir: dir, limits: l}
	if err := b.start(ctx); err != nil {
		return nil, errors.Join(err, b.remove())
	}
	return b, nil
}

func (b *Broker) start(ctx context.Context) error {
	resolve := resolver(b.Port, b.dir)
	if b.Peer.Config != "" {
		if err := os.WriteFile(resolve.Replace(configFile), []byte(resolve.Replace(b.Peer.Config)), 0o644); err != nil {
			return fmt.Errorf("peer: configuration of %s: %w", b.Peer.Name, err)
		}
	}
	argv := make([]string, len(b.Peer.Command))
	for i, word := range b.Peer.Command {
		argv[i] = resolve.Replace(word)
	}
	child, err := startChild(b.Peer.Name, argv)
	if err != nil {
		return err
	}
	b.child, b.PID = child, child.pid
	if err := b.awaitAnswer(ctx); err != nil {
		child.end(b.limits.stop)
		return err
	}
	return nil
}

// Err returns nil while the broker runs, and after Stop ended it. After it ended on its own: how,
// by exit status or signal, and the last lines it wrote.
func (b *Broker) Err() error {
	if b.asked.Load() || !b.child.gone() {
		return nil
	}
	return b.child.obituary()
}

// Stop ends the broker with SIGTERM, after 5 s with SIGKILL, waits for its end and removes its
// folder. It returns nil when the broker ended as asked, with any exit status; Err when it had
// ended before; and how it ended when it crashed on the way. Further calls return the same.
func (b *Broker) Stop() error {
	b.stop.Do(func() { b.stopErr = errors.Join(b.end(), b.remove()) })
	return b.stopErr
}

func (b *Broker) end() error {
	if b.child.gone() {
		return b.Err()
	}
	b.asked.Store(true)
	b.child.end(b.limits.stop)
	if !b.child.endedAsAsked() {
		return b.child.obituary()
	}
	return nil
}

func (b *Broker) remove() error {
	if err := os.RemoveAll(b.dir); err != nil {
		return fmt.Errorf("peer: folder of %s: %w", b.Peer.Name, err)
	}
	return nil
}
