package session

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"mqttd/codec"
)

func TestAbsentKeepsTheLatest(t *testing.T) {
	a := NewAbsent()
	for n := range 3 {
		require.Nil(t, a.Put(Restored(fmt.Sprint(n), 0), int64(n), 3))
	}
	require.Equal(t, "0", a.Put(Restored("3", 0), 3, 3).ClientID, "the one that has been away longest")
	require.Equal(t, 3, a.Len())
	require.Nil(t, a.Take("0"))
	require.Equal(t, "2", a.Take("2").ClientID)
	require.Nil(t, a.Take("2"), "whoever takes it has it alone")
	require.Nil(t, a.Put(Restored("2", 0), 4, 3), "it left again, and is the latest now")
	require.Equal(t, "1", a.Put(Restored("4", 0), 5, 3).ClientID)
	require.Equal(t, "3", a.Put(Restored("5", 0), 6, 3).ClientID)
	require.Equal(t, 3, a.Len())
}

func TestAbsentIsLookedAt(t *testing.T) {
	a, o := NewAbsent(), new(Queues).NewOutbox(0)
	s := Restored("client", 0)
	s.Handle, s.Outbox = makeHandle(3, 4), o
	s.Subscribe(nil, "a", codec.QoS1, 10)
	s.Missed.Add(5)
	a.Put(s, 17, 10)
	for range 2 { // it stays
		seen, ok := a.Look("client")
		require.True(t, ok)
		require.Equal(t, Sight{Handle: s.Handle, Left: 17, Filters: 1, Missed: 5, Outbox: o}, seen)
	}
	require.Same(t, s, a.Take("client"))
	_, ok := a.Look("client")
	require.False(t, ok)
}

func TestAbsentWithoutRoom(t *testing.T) {
	a := NewAbsent()
	s := Restored("client", 0)
	require.Same(t, s, a.Put(s, 1, 0))
	require.Zero(t, a.Len())
	require.Nil(t, a.Take("client"))
}

func TestAbsentTakesThoseBeyond(t *testing.T) {
	a := NewAbsent()
	require.Nil(t, a.TakeBeyond(0))
	for n := range 3 {
		require.Nil(t, a.Put(Restored(fmt.Sprint(n), 0), int64(n), 3))
	}
	require.Nil(t, a.TakeBeyond(3))
	require.Equal(t, "0", a.TakeBeyond(1).ClientID, "the one that has been away longest")
	require.Equal(t, "1", a.TakeBeyond(1).ClientID)
	require.Nil(t, a.TakeBeyond(1))
	require.Nil(t, a.Take("0"))
	require.Equal(t, 1, a.Len())
}

func TestAbsentTakesThoseWhoLeftBefore(t *testing.T) {
	a := NewAbsent()
	require.Nil(t, a.TakeLeftBefore(100))
	for n := range int64(4) {
		a.Put(Restored(fmt.Sprint(n), 0), 10*n, 10)
	}
	require.Nil(t, a.TakeLeftBefore(0), "at that time is not before")
	var taken []string
	for s := a.TakeLeftBefore(20); s != nil; s = a.TakeLeftBefore(20) {
		taken = append(taken, s.ClientID)
	}
	require.Equal(t, []string{"0", "1"}, taken)
	require.Nil(t, a.Take("0"))
	require.NotNil(t, a.Take("3"))
	require.Equal(t, 1, a.Len())
}

// A client that comes back and the clock that ends its session both want it: one gets it.
func TestAbsentIsTakenOnce(t *testing.T) {
	const sessions = 2000
	a := NewAbsent()
	for n := range sessions {
		a.Put(Restored(fmt.Sprint(n), 0), 0, sessions)
	}
	var taken atomic.Int64
	var working sync.WaitGroup
	for range 2 {
		working.Go(func() {
			for n := range sessions {
				if a.Take(fmt.Sprint(n)) != nil {
					taken.Add(1)
				}
			}
		})
		working.Go(func() {
			for a.TakeLeftBefore(1) != nil {
				taken.Add(1)
			}
		})
	}
	working.Wait()
	require.EqualValues(t, sessions, taken.Load())
	require.Zero(t, a.Len())
	require.Empty(t, a.byClient)
}
