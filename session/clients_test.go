package session

import (
	"regexp"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// [MQTT-3.1.4-2]
func TestClaimTakesOver(t *testing.T) {
	c := NewClients()
	first, second, third := makeHandle(0, 1), makeHandle(1, 1), makeHandle(0, 2)

	previous, taken := c.Claim("anna", first)
	assert.False(t, taken)
	assert.Equal(t, NoHandle, previous)
	assert.True(t, c.Known([]byte("anna")))

	_, taken = c.Claim("ben", makeHandle(9, 1))
	assert.False(t, taken, "another identifier")

	previous, taken = c.Claim("anna", second)
	assert.True(t, taken)
	assert.Equal(t, first, previous)
	previous, taken = c.Claim("anna", third)
	assert.True(t, taken)
	assert.Equal(t, second, previous)
	assert.Equal(t, 2, c.Len())
}

func TestReleaseIsTheOwners(t *testing.T) {
	c := NewClients()
	first, second := makeHandle(0, 1), makeHandle(1, 1)
	assert.False(t, c.Release("anna", first), "nobody owns it")
	c.Claim("anna", first)
	c.Claim("anna", second)
	assert.False(t, c.Release("anna", first), "taken over")
	assert.True(t, c.Known([]byte("anna")))
	assert.False(t, c.Release("Anna", second), "another identifier")
	assert.True(t, c.Release("anna", second))
	assert.False(t, c.Release("anna", second), "once is enough")
	assert.False(t, c.Known([]byte("anna")))
	assert.Zero(t, c.Len())
}

// The takeovers of an identifier form a line: each owner but the last is named to exactly one
// claimant, so that each old connection is closed, and waited for, once.
func TestTakeoversFormALine(t *testing.T) {
	const claimants = 64
	c := NewClients()
	var named [claimants]atomic.Int32
	var newcomers atomic.Int32
	var wait sync.WaitGroup
	for slot := range uint32(claimants) {
		wait.Go(func() {
			previous, taken := c.Claim("anna", makeHandle(slot, 1))
			if !taken {
				newcomers.Add(1)
				return
			}
			named[previous.Slot()].Add(1)
		})
	}
	wait.Wait()
	assert.EqualValues(t, 1, newcomers.Load())
	owners := 0
	for slot := range uint32(claimants) {
		h := makeHandle(slot, 1)
		if c.Release("anna", h) {
			owners++
			assert.Zero(t, named[slot].Load(), "%s owns it still", h)
		} else {
			assert.EqualValues(t, 1, named[slot].Load(), "%s", h)
		}
	}
	assert.Equal(t, 1, owners)
}

// Each claim ends in one way: by its own release, or named to one successor.
func TestClaimAndReleaseConcurrently(t *testing.T) {
	const goroutines, rounds = 4, 2000
	c := NewClients()
	var ended [goroutines][rounds]atomic.Int32
	var wait sync.WaitGroup
	for g := range uint32(goroutines) {
		wait.Go(func() {
			for round := range uint32(rounds) {
				h := makeHandle(g, round+1)
				if previous, taken := c.Claim("anna", h); taken {
					ended[previous.Slot()][previous.Generation()-1].Add(1)
				}
				_ = c.Known([]byte("anna"))
				if c.Release("anna", h) {
					ended[g][round].Add(1)
				}
			}
		})
	}
	wait.Wait()
	assert.Zero(t, c.Len())
	for g := range ended {
		for round := range ended[g] {
			require.EqualValues(t, 1, ended[g][round].Load(), "claim %d of goroutine %d", round, g)
		}
	}
}

// [MQTT-3.1.3-6]: unique; and within the 23 characters that any server accepts of a client
// [MQTT-3.1.3-5], should it come back with it.
func TestAssignedClientID(t *testing.T) {
	form := regexp.MustCompile(`^auto-[0-9A-V]{16}$`)
	seen := make(map[string]bool)
	for range 1000 {
		id := AssignedClientID()
		require.Regexp(t, form, id)
		require.LessOrEqual(t, len(id), 23)
		require.False(t, seen[id], "%s was assigned before", id)
		seen[id] = true
	}
}

func TestKnownDoesNotKeepTheIdentifier(t *testing.T) {
	c := NewClients()
	c.Claim("anna", makeHandle(0, 1))
	id := []byte("anna")
	assert.Zero(t, testing.AllocsPerRun(100, func() { _ = c.Known(id) }))
	copy(id, "xxxx")
	assert.True(t, c.Known([]byte("anna")))
	assert.False(t, c.Known(id))
}

func TestLookup(t *testing.T) {
	c := NewClients()
	_, ok := c.Lookup("anna")
	assert.False(t, ok)
	c.Claim("anna", makeHandle(0, 1))
	c.Claim("anna", makeHandle(1, 1))
	h, ok := c.Lookup("anna")
	assert.True(t, ok)
	assert.Equal(t, makeHandle(1, 1), h, "who has it now")
}
