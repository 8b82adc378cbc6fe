package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRunAgainstAFaithfulBroker(t *testing.T) {
	t.Parallel()
	b := new(fakeBroker).start(t)
	var samples []Sample
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := b.config()
	c.Duration = time.Hour
	c.OnSample = func(s Sample) {
		assert.Equal(t, s.LatencyP99Ns, s.Latencies.ValueAtQuantile(99))
		s.Latencies = nil
		samples = append(samples, s)
		if s.Phase == "measure" && s.Deliveries > 0 {
			cancel() // enough
		}
	}
	r, err := Run(ctx, c)
	require.NoError(t, err)

	d := r.Deliveries
	assert.EqualValues(t, b.published, d.MessagesSent)
	assert.Equal(t, d.MessagesSent*5, d.Expected)
	assert.Equal(t, Accounts{MessagesSent: d.MessagesSent, Expected: d.Expected, Received: d.Expected}, d)
	assert.Positive(t, r.Throughput.Deliveries)
	assert.Less(t, r.Throughput.Messages, d.MessagesSent, "the warm-up is not measured")
	assert.Positive(t, r.Latency.P50Ns)
	assert.LessOrEqual(t, r.Latency.P50Ns, r.Latency.P99Ns)
	assert.LessOrEqual(t, r.Latency.P99Ns, r.Latency.P999Ns)
	assert.LessOrEqual(t, r.Latency.P999Ns, r.Latency.MaxNs)
	assert.EqualValues(t, r.Throughput.Messages*5, r.Latency.Count, "every message sent in the measurement")
	assert.Equal(t, samples, r.Samples)
	assert.True(t, r.Interrupted)
	assert.Greater(t, r.Samples[0].BrokerDescriptors, c.Publishers+c.Subscribers)
	assert.Positive(t, r.Samples[0].BrokerThreads)

	require.NotNil(t, r.Broker, "the fake broker is this process")
	assert.Equal(t, os.Getpid(), r.Broker.PID)
	assert.Positive(t, r.Broker.CPUSeconds)
	assert.Positive(t, r.Broker.ResidentBytes)
	assert.Positive(t, r.Generator.CPUSecondsPerMillion)
}

func TestRunReportsExactlyWhatTheBrokerDidWrong(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		deliver func(b *fakeBroker, to *fakeSubscriber, frame []byte)
		want    func(b *fakeBroker) Accounts
	}{
		"every thousandth delivery dropped": {
			func(b *fakeBroker, to *fakeSubscriber, frame []byte) {
				if b.deliveries%1000 != 0 {
					to.send(frame)
				}
			},
			func(b *fakeBroker) Accounts { return Accounts{Lost: uint64(b.deliveries / 1000)} },
		},
		"one delivery duplicated": {
			func(b *fakeBroker, to *fakeSubscriber, frame []byte) {
				to.send(frame)
				if b.deliveries == 77 {
					to.send(frame)
				}
			},
			func(*fakeBroker) Accounts { return Accounts{Duplicated: 1} },
		},
		"two deliveries of one publisher swapped": {
			func(b *fakeBroker, to *fakeSubscriber, frame []byte) {
				switch {
				case b.deliveries == 99:
					to.kept = frame
				case to.kept != nil && samePublisher(to.kept, frame, 64):
					to.send(frame, to.kept)
					to.kept = nil
				default:
					to.send(frame)
				}
			},
			func(*fakeBroker) Accounts { return Accounts{OutOfOrder: 1} },
		},
		"a message that nobody published here": {
			func(b *fakeBroker, to *fakeSubscriber, frame []byte) {
				if b.deliveries == 50 {
					to.send(appendPublish(nil, "bench/fanout", 0, 64), appendPublish(nil, "x", 0, 100_000), appendPublish(nil, "", 0, 0))
				}
				to.send(frame)
			},
			func(*fakeBroker) Accounts { return Accounts{Unexpected: 3} },
		},
	}
	for name, test := range tests {
		for qos := range 3 {
			t.Run(fmt.Sprintf("%s, QoS %d", name, qos), func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				b := (&fakeBroker{suback: byte(qos), deliver: test.deliver, onPublish: func(b *fakeBroker) {
					if b.deliveries > 2500 {
						cancel()
					}
				}}).start(t)
				c := b.config()
				c.QoS, c.Duration = qos, time.Hour
				r, err := Run(ctx, c)
				require.NoError(t, err)
				b.mu.Lock()
				defer b.mu.Unlock()
				want, got := test.want(b), r.Deliveries
				assert.Equal(t, want.Lost, got.Lost, "lost")
				assert.Equal(t, want.Duplicated, got.Duplicated, "duplicated")
				assert.Equal(t, want.OutOfOrder, got.OutOfOrder, "out of order")
				assert.Equal(t, want.Unexpected, got.Unexpected, "unexpected")
				assert.EqualValues(t, b.published, got.MessagesSent)
				assert.EqualValues(t, b.deliveries, got.Expected)
				assert.Equal(t, got.Expected-got.Lost+got.Duplicated, got.Received)
				if want.Lost+want.Duplicated+want.OutOfOrder == 0 {
					assert.Nil(t, got.Worst)
					return
				}
				require.NotNil(t, got.Worst)
				assert.Positive(t, got.Worst.faults())
				assert.GreaterOrEqual(t, got.Lost+got.Duplicated+got.OutOfOrder, got.Worst.faults())
			})
		}
	}
}

func TestRunNamesTheWorstSubscriber(t *testing.T) {
	t.Parallel()
	b := (&fakeBroker{deliver: func(b *fakeBroker, to *fakeSubscriber, frame []byte) {
		if to != b.subscribers[0] || to.deliveries > 7 {
			to.send(frame)
		}
	}}).start(t)
	c := b.config()
	c.Warmup = 0
	r := b.runUntil(t, c, func(Sample) bool { return b.subscribers[0].deliveries > 100 })
	require.NotNil(t, r.Deliveries.Worst)
	assert.EqualValues(t, 7, r.Deliveries.Lost)
	assert.EqualValues(t, 7, r.Deliveries.Worst.Lost)
	assert.Equal(t, r.Deliveries.MessagesSent, r.Deliveries.Worst.Expected)
}

// The broker swallows the whole window: without a timeout nothing would ever be sent again.
func TestWindowMovesOnWhenEverythingIsLost(t *testing.T) {
	t.Parallel()
	const swallowed = 2 * 3 * 4 // two windows of three subscribers
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b := (&fakeBroker{deliver: func(b *fakeBroker, to *fakeSubscriber, frame []byte) {
		if b.deliveries <= swallowed {
			return
		}
		to.send(frame)
		if b.deliveries > swallowed+100 {
			cancel()
		}
	}}).start(t)
	c := b.config()
	c.Publishers, c.Subscribers, c.Window, c.Duration = 4, 3, 4, time.Hour
	r, err := Run(ctx, c)
	require.NoError(t, err)
	assert.True(t, r.Interrupted)
	assert.EqualValues(t, swallowed, r.Deliveries.Lost)
	assert.Zero(t, r.Deliveries.OutOfOrder)
	assert.GreaterOrEqual(t, r.Deliveries.WindowTimeouts, uint64(8))
	assert.NotEmpty(t, r.Warnings)
}

func TestRunOpenLoop(t *testing.T) {
	t.Parallel()
	b := new(fakeBroker).start(t)
	c := b.config()
	c.RatePerSecond, c.Duration = 1000, time.Second
	r, err := Run(t.Context(), c)
	require.NoError(t, err)
	d := r.Deliveries
	assert.Equal(t, d.Expected, d.Received)
	assert.Zero(t, d.Lost+d.Duplicated+d.OutOfOrder+d.Unexpected)
	elapsed := 0.0 // of sending
	for _, s := range r.Samples {
		if s.Phase == "warm-up" || s.Phase == "measure" {
			elapsed += s.Seconds
		}
	}
	const stall = 200 // messages: those of a moment at which the machine stands still
	assert.InDelta(t, 1000*elapsed, d.MessagesSent+d.MessagesUnsent, stall, "the schedule, not the broker, decides")
	assert.InDelta(t, r.Throughput.Seconds*1000*5, r.Latency.Count, 5*(stall+float64(d.MessagesUnsent)))
}

// A broker that stops reading for a while must show up in the latency of every message that had to
// wait, also of those that could not be sent in time.
func TestOpenLoopCountsFromTheIntendedTime(t *testing.T) {
	t.Parallel()
	const pause = 300 * time.Millisecond
	b := (&fakeBroker{onPublish: func(b *fakeBroker) {
		if b.published == 100 {
			time.Sleep(pause)
		}
	}}).start(t)
	c := b.config()
	c.RatePerSecond, c.Warmup, c.Duration = 1000, 0, 2*time.Second
	r, err := Run(t.Context(), c)
	require.NoError(t, err)
	assert.Zero(t, r.Deliveries.Lost)
	assert.GreaterOrEqual(t, r.Latency.MaxNs, pause.Nanoseconds())
	assert.GreaterOrEqual(t, r.Latency.P99Ns, pause.Nanoseconds()/2)
}

func TestRunWithTopicsOfTheirOwn(t *testing.T) {
	t.Parallel()
	b := new(fakeBroker).start(t)
	c := b.config()
	c.Topic, c.Publishers, c.Subscribers = "bench/%i", 3, 7
	r, err := Run(t.Context(), c)
	require.NoError(t, err)
	assert.EqualValues(t, b.deliveries, r.Deliveries.Expected)
	assert.Equal(t, r.Deliveries.Expected, r.Deliveries.Received)
	assert.Zero(t, r.Deliveries.Lost+r.Deliveries.Unexpected)
	filters := map[string]int{}
	for _, s := range b.subscribers {
		filters[s.filter]++
	}
	assert.Equal(t, map[string]int{"bench/0": 3, "bench/1": 2, "bench/2": 2}, filters)
}

func TestRunWithManyTopics(t *testing.T) {
	t.Parallel()
	b := new(fakeBroker).start(t)
	c := b.config()
	c.Topic, c.Filter, c.Topics, c.Publishers, c.Subscribers = "bench/%i/%j", "+/%i/%j", 120, 2, 3
	r := b.runUntil(t, c, func(Sample) bool {
		return !slices.ContainsFunc(b.subscribers, func(s *fakeSubscriber) bool { return s.deliveries == 0 })
	})
	assert.EqualValues(t, b.deliveries, r.Deliveries.Expected)
	assert.Equal(t, r.Deliveries.Expected, r.Deliveries.Received)
	assert.Zero(t, r.Deliveries.Lost+r.Deliveries.Unexpected+r.Deliveries.OutOfOrder)
	assert.Len(t, b.subscribers, 3*120)
}

func TestRunWithAConnectionForEachMessage(t *testing.T) {
	t.Parallel()
	for name, rate := range map[string]float64{"open loop": 200, "closed loop": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := new(fakeBroker).start(t)
			c := b.config()
			c.ConnectPerMessage, c.RatePerSecond = true, rate
			r := b.runUntil(t, c, func(Sample) bool { return b.published > 20 })
			assert.Equal(t, 5, r.Connections.Opened, "the subscribers")
			assert.Positive(t, r.Deliveries.MessagesSent)
			assert.EqualValues(t, b.published, r.Deliveries.MessagesSent)
			assert.Equal(t, r.Deliveries.Expected, r.Deliveries.Received)
			assert.Zero(t, r.Deliveries.Lost+r.Deliveries.OutOfOrder)
			b.mu.Lock()
			defer b.mu.Unlock()
			assert.GreaterOrEqual(t, len(b.conns), 5+b.published, "a connection for each")
		})
	}
}

// warnings leaves out those of a test machine that is too busy for the generator.
func warnings(r Result) (rest []string) {
	for _, w := range r.Warnings {
		if !strings.HasPrefix(w, "the generator was saturated") && !strings.HasPrefix(w, "the rate was not reached") {
			rest = append(rest, w)
		}
	}
	return rest
}

func TestRunAtHigherQoS(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		qos, granted      int
		rate              float64
		connectPerMessage bool
	}{
		"QoS 1":                                 {qos: 1, granted: 1},
		"QoS 2":                                 {qos: 2, granted: 2},
		"QoS 2 at a rate":                       {qos: 2, granted: 2, rate: 1000},
		"QoS 2, granted 1":                      {qos: 2, granted: 1},
		"QoS 1, granted 0":                      {qos: 1, granted: 0},
		"QoS 1, a connection for each message":  {qos: 1, granted: 1, rate: 100, connectPerMessage: true},
		"QoS 2, a connection for each message!": {qos: 2, granted: 2, connectPerMessage: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := (&fakeBroker{suback: byte(test.granted)}).start(t)
			c := b.config()
			c.QoS, c.RatePerSecond, c.ConnectPerMessage = test.qos, test.rate, test.connectPerMessage
			r := b.runUntil(t, c, anything)
			assert.Positive(t, r.Throughput.Deliveries)
			assert.EqualValues(t, b.published, r.Deliveries.MessagesSent)
			assert.Equal(t, r.Deliveries.Expected, r.Deliveries.Received)
			assert.Zero(t, r.Deliveries.Lost+r.Deliveries.Duplicated+r.Deliveries.OutOfOrder+r.Deliveries.Unexpected)
			if test.granted < test.qos {
				require.Len(t, warnings(r), 1)
				assert.Contains(t, warnings(r)[0], "the broker granted QoS "+strconv.Itoa(test.granted))
			} else {
				assert.Empty(t, warnings(r))
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			all := b.deliveries * min(test.granted, 1)
			assert.InDelta(t, all, b.acknowledged, float64(len(b.subscribers)), "every delivery above QoS 0, but for the handshakes that the end of the run cuts off")
			assert.LessOrEqual(t, b.acknowledged, all)
			assert.Equal(t, b.published*max(test.qos-1, 0), b.released)
			assert.Zero(t, b.wrong)
		})
	}
}

// Every subscriber, and no publisher, asks for a session that stays; what is left of it holds no filter.
func TestRunWithPersistentSessions(t *testing.T) {
	t.Parallel()
	b := (&fakeBroker{suback: 1}).start(t)
	c := b.config()
	c.Topic, c.Topics, c.QoS, c.Persistent = "bench/%i/%j", filtersMax+1, 1, true
	r := b.runUntil(t, c, anything)
	assert.Zero(t, r.Deliveries.Lost+r.Deliveries.Duplicated+r.Deliveries.OutOfOrder+r.Deliveries.Unexpected)

	filters := func() (asked, left []string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, s := range b.subscribers {
			asked = append(asked, s.filter)
		}
		return asked, slices.Clone(b.unsubscribed)
	}
	require.Eventually(t, func() bool { // the broker may still be reading
		asked, left := filters()
		return len(asked) == len(left)
	}, time.Minute, time.Millisecond)
	asked, left := filters()
	assert.ElementsMatch(t, asked, left)
	assert.Len(t, asked, 5*(filtersMax+1))
	for id, flags := range b.flags {
		want := byte(connectClean)
		if strings.Contains(id, "-s") {
			want = connectPersistent
		}
		assert.Equal(t, want, flags, id)
	}
	assert.Len(t, b.flags, 9)
}

func TestRunWarnsOfMissingAcknowledgements(t *testing.T) {
	t.Parallel()
	for _, qos := range []int{1, 2} {
		b := (&fakeBroker{suback: 1, noAcks: true}).start(t)
		c := b.config()
		c.QoS = qos
		r := b.runUntil(t, c, anything)
		assert.Zero(t, r.Deliveries.Lost)
		assert.Equal(t, r.Deliveries.MessagesSent, r.Deliveries.Unacknowledged)
		share := uint64(c.Window / c.Publishers)
		assert.LessOrEqual(t, r.Deliveries.MessagesSent, uint64(c.Window)+share*r.Deliveries.WindowTimeouts, "the window is also that of acknowledgements")
		assert.Contains(t, strings.Join(warnings(r), "; "), "were not acknowledged to their publisher")
	}
}

// In the middle of a run too, a connection that is never accepted ends it.
func TestRunWithAConnectionForEachMessageThatIsNotAnswered(t *testing.T) {
	t.Parallel()
	b := (&fakeBroker{answers: 50}).start(t)
	c := b.config()
	c.ConnectPerMessage, c.Duration = true, time.Minute
	_, err := Run(t.Context(), c)
	require.ErrorIs(t, err, ErrConnect)
	assert.ErrorContains(t, err, "no answer within 10s, CONNACK was awaited")
}

func TestRunAtALowRateHasNothingToWarnOf(t *testing.T) {
	t.Parallel()
	c := new(fakeBroker).start(t).config()
	c.RatePerSecond = 0.5
	r, err := Run(t.Context(), c)
	require.NoError(t, err)
	assert.Empty(t, warnings(r))
}

func TestRunRefusesASourceOfAnotherIPVersion(t *testing.T) {
	t.Parallel()
	c := new(fakeBroker).start(t).config()
	c.Sources = []string{"::1"}
	_, err := Run(t.Context(), c)
	require.ErrorIs(t, err, ErrConfig)
	assert.ErrorContains(t, err, "source ::1 and the broker's address 127.0.0.1 are not of one IP version")
}

func TestRunWithoutAPublisher(t *testing.T) {
	t.Parallel()
	b := new(fakeBroker).start(t)
	c := b.config()
	c.Topic, c.Publishers, c.Subscribers, c.Connects = "idle/%i", 0, 100, 7
	c.Sources = []string{"127.0.0.2", "127.0.0.3"}
	r, err := Run(t.Context(), c)
	require.NoError(t, err)
	assert.Equal(t, 100, r.Connections.Opened)
	assert.EqualValues(t, 100, r.Connections.Latency.Count)
	assert.Positive(t, r.Connections.PerSecond)
	assert.Positive(t, r.Connections.ResidentBytesBefore)
	assert.Zero(t, r.Throughput.Deliveries)
	assert.Empty(t, warnings(r))
	filters, sources := map[string]bool{}, map[string]int{}
	for _, s := range b.subscribers {
		filters[s.filter] = true
		host, _, _ := net.SplitHostPort(s.conn.RemoteAddr().String())
		sources[host]++
	}
	assert.Len(t, filters, 100)
	assert.Equal(t, map[string]int{"127.0.0.2": 50, "127.0.0.3": 50}, sources)
}

func TestRunWithNobody(t *testing.T) {
	t.Parallel()
	b := new(fakeBroker).start(t)
	c := b.config()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c.Publishers, c.Subscribers, c.SampleInterval, c.Duration = 0, 0, 20*time.Millisecond, time.Hour
	taken := 0
	c.OnSample = func(Sample) {
		if taken++; taken > 5 { // the pictures are what such a run is for
			cancel()
		}
	}
	r, err := Run(ctx, c)
	require.NoError(t, err)
	assert.Zero(t, r.Connections.Opened)
	assert.Greater(t, len(r.Samples), 5)
	assert.Empty(t, warnings(r))
}

func TestRunOpensConnectionsAtAPace(t *testing.T) {
	t.Parallel()
	b := new(fakeBroker).start(t)
	c := b.config()
	c.Publishers, c.Subscribers, c.ConnectsPerSecond = 0, 20, 100
	r, err := Run(t.Context(), c)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, r.Connections.Seconds, 0.18)
}

func TestRunFanInWithAWildcard(t *testing.T) {
	t.Parallel()
	b := new(fakeBroker).start(t)
	c := b.config()
	c.Topic, c.Filter, c.Publishers, c.Subscribers = "bench/%i", "bench/#", 12, 1
	r, err := Run(t.Context(), c)
	require.NoError(t, err)
	assert.Equal(t, r.Deliveries.MessagesSent, r.Deliveries.Received)
	assert.Zero(t, r.Deliveries.Lost+r.Deliveries.Unexpected)
}

func TestRunFailsClearly(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		broker *fakeBroker
		want   error
		text   string
	}{
		"the broker refuses the connection":   {&fakeBroker{connack: 5}, ErrConnect, "CONNACK return code 5: not authorized"},
		"the broker refuses the subscription": {&fakeBroker{suback: 0x80}, ErrConnect, "SUBACK return code 0x80"},
		"the broker never answers":            {&fakeBroker{silent: true}, ErrConnect, "no answer within 10s"},
		"the broker dies in the middle": {
			&fakeBroker{onPublish: func(b *fakeBroker) {
				if b.published == 500 {
					b.closeConns()
				}
			}}, ErrConnectionLost, " at 127.0.0.1:",
		},
		"the broker sends what it may not": {
			&fakeBroker{deliver: func(b *fakeBroker, to *fakeSubscriber, frame []byte) {
				to.send([]byte{0xD0, 0}) // PINGRESP
			}}, ErrConnectionLost, "malformed packet: packet 0xd0",
		},
		"the broker releases what was not received": {
			&fakeBroker{suback: 2, deliver: func(b *fakeBroker, to *fakeSubscriber, frame []byte) {
				to.send([]byte{0x62, 2, 0, 9})
			}}, ErrConnectionLost, "malformed packet: PUBREL where no PUBREC was sent",
		},
		"the broker sends the Packet Identifier 0": {
			&fakeBroker{suback: 1, deliver: func(b *fakeBroker, to *fakeSubscriber, frame []byte) {
				to.send(appendPublish(nil, "bench/fanout", 1, 64))
			}}, ErrConnectionLost, "malformed packet: PUBLISH with the Packet Identifier 0",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := test.broker.start(t)
			c := b.config()
			c.QoS, c.Duration = int(b.suback&3), time.Minute
			_, err := Run(t.Context(), c)
			require.ErrorIs(t, err, test.want)
			assert.ErrorContains(t, err, test.text)
			assert.ErrorContains(t, err, b.listener.Addr().String())
			assert.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestRunWithoutABroker(t *testing.T) {
	t.Parallel()
	c := DefaultConfig()
	c.Port = absentPort(t)
	_, err := Run(t.Context(), c)
	require.ErrorIs(t, err, ErrConnect)
	assert.EqualError(t, err, "bench: cannot connect to the broker at 127.0.0.1:"+strconv.Itoa(c.Port)+": connection refused, nothing listens there")
}

func TestRunWithAnUnknownProcess(t *testing.T) {
	t.Parallel()
	b := new(fakeBroker).start(t)
	c := b.config()
	c.PID = pidAbsent
	_, err := Run(t.Context(), c)
	assert.ErrorContains(t, err, "no process 4194304")
}

func TestRunInterruptedBeforeTheMeasurement(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b := (&fakeBroker{onPublish: func(b *fakeBroker) {
		if b.published == 100 {
			cancel()
		}
	}}).start(t)
	c := b.config()
	c.Warmup = time.Hour
	r, err := Run(ctx, c)
	require.NoError(t, err)
	assert.True(t, r.Interrupted)
	assert.Zero(t, r.Throughput)
	assert.Zero(t, r.Latency.Count)
	assert.GreaterOrEqual(t, r.Deliveries.MessagesSent, uint64(100))
	assert.Zero(t, r.Deliveries.Lost)

	_, err = Run(ctx, c)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestResultAsJSON(t *testing.T) {
	t.Parallel()
	b := new(fakeBroker).start(t)
	c := b.config()
	c.Command = []string{"mqttbench", "-json"}
	r, err := Run(t.Context(), c)
	require.NoError(t, err)
	text, err := json.Marshal(r)
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(text, &fields))

	assert.Equal(t, []any{"mqttbench", "-json"}, fields["command"])
	assert.IsType(t, []any{}, fields["warnings"])
	assert.Equal(t, false, fields["interrupted"])
	assert.IsType(t, false, fields["generator_saturated"], "a busy machine decides")
	for object, names := range map[string][]string{
		"machine":    {"kernel", "arch", "cpus", "cpu_model", "memory_bytes", "go_version"},
		"config":     {"host", "port", "publishers", "window", "duration_seconds", "warmup_seconds", "payload_bytes"},
		"throughput": {"seconds", "messages_per_second", "deliveries_per_second"},
		"latency":    {"count", "p50_ns", "p99_ns", "p99_9_ns", "max_ns"},
		"deliveries": {"messages_sent", "expected", "received", "lost", "duplicated", "out_of_order", "worst_subscriber"},
		"broker":     {"pid", "name", "cpu_seconds", "cpu_seconds_per_million_deliveries", "core_percent", "resident_bytes"},
		"generator":  {"cpu_seconds", "thread_percent"},
	} {
		for _, name := range names {
			assert.Contains(t, fields[object], name, object)
		}
	}
	samples := fields["samples"].([]any)
	require.NotEmpty(t, samples)
	assert.Contains(t, samples[0], "broker_cpu_seconds")
	assert.InDelta(t, 0.2, fields["config"].(map[string]any)["duration_seconds"], 1e-9)
}
