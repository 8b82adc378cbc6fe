package main_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// subscription is a client's subscribed connection, as the client reports it.
type subscription struct {
	granted  []byte        // the return codes of the SUBACK, in the order of the filters
	messages chan message  // in the order of arrival
	lost     chan struct{} // one value when the client saw its connection end

	cut  func() // closes the connection without a DISCONNECT
	stop func() // closes it with one, and returns when it is sent
}

func newSubscription() *subscription {
	return &subscription{
		messages: make(chan message, 4096), // chosen: more than any test leaves unread
		lost:     make(chan struct{}, 1),
	}
}

// run starts the program that subscribes, and waits for the SUBACK that it sees.
func (s *subscription) run(t *testing.T, granted <-chan []byte, onLine func(line []byte), name string, arguments ...string) *process {
	t.Helper()
	p := startProcess(t, onLine, name, arguments...)
	s.cut = p.kill
	s.stop = func() { p.terminate(t) }
	go func() {
		<-p.exited
		s.setLost()
	}()
	select {
	case s.granted = <-granted:
	case <-p.exited:
		t.Fatalf("%s ended before it saw a SUBACK", name)
	case <-time.After(patience):
		t.Fatalf("waited %v for %s to see a SUBACK", patience, name)
	}
	return p
}

// receive keeps a message. Beyond the capacity messages are dropped: a test reads the first ones,
// and sees by them that something is wrong.
func (s *subscription) receive(m message) {
	select {
	case s.messages <- m:
	default:
	}
}

// setLost says that the connection ended; only the first call counts.
func (s *subscription) setLost() {
	select {
	case s.lost <- struct{}{}:
	default:
	}
}

// next returns the next message and fails the test when none comes.
func (s *subscription) next(t *testing.T) message {
	t.Helper()
	return await(t, s.messages, "a message")
}

// nextPayloads returns the payloads of the next messages.
func (s *subscription) nextPayloads(t *testing.T, count int) []string {
	t.Helper()
	var payloads []string
	for range count {
		payloads = append(payloads, s.next(t).Payload)
	}
	return payloads
}

// requireNothingBefore publishes an end message and checks that it is each subscription's next.
func requireNothingBefore(t *testing.T, c client, b *broker, end message, subscriptions []*subscription) {
	t.Helper()
	require.NoError(t, c.publish(b.connect(), end))
	for number, s := range subscriptions {
		require.Equal(t, end, s.next(t), "to subscription %d", number)
	}
}

// requireAlive checks that the client did not see its connection end.
func (s *subscription) requireAlive(t *testing.T) {
	t.Helper()
	require.Empty(t, s.lost, "the client lost its connection")
}
