package session

import (
	"regexp"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// owner stands for a connection.
type owner struct{ slot, round int }

// [MQTT-3.1.4-2]
func TestClaimTakesOver(t *testing.T) {
	c := NewClients[owner]()
	first, second, third := &owner{slot: 0}, &owner{slot: 1}, &owner{slot: 2}
	assert.Nil(t, c.Claim("anna", first))
	assert.True(t, c.Known([]byte("anna")))
	assert.Nil(t, c.Claim("ben", &owner{}), "another identifier")
	assert.Same(t, first, c.Claim("anna", second))
	assert.Same(t, second, c.Claim("anna", third))
	assert.Equal(t, 2, c.Len())
}

func TestReleaseIsTheOwners(t *testing.T) {
	c := NewClients[owner]()
	first, second := &owner{slot: 0}, &owner{slot: 1}
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
	c := NewClients[owner]()
	var connections [claimants]owner
	var named [claimants]atomic.Int32
	var newcomers atomic.Int32
	var wait sync.WaitGroup
	for slot := range connections {
		connections[slot].slot = slot
		wait.Go(func() {
			if previous := c.Claim("anna", &connections[slot]); previous != nil {
				named[previous.slot].Add(1)
			} else {
				newcomers.Add(1)
			}
		})
	}
	wait.Wait()
	assert.EqualValues(t, 1, newcomers.Load())
	owners := 0
	for slot := range connections {
		if c.Release("anna", &connections[slot]) {
			owners++
			assert.Zero(t, named[slot].Load(), "%d owns it still", slot)
		} else {
			assert.EqualValues(t, 1, named[slot].Load(), "%d", slot)
		}
	}
	assert.Equal(t, 1, owners)
}

// Each claim ends in one way: by its own release, or named to one successor.
func TestClaimAndReleaseConcurrently(t *testing.T) {
	const goroutines, rounds = 4, 2000
	c := NewClients[owner]()
	var ended [goroutines][rounds]atomic.Int32
	var wait sync.WaitGroup
	for g := range goroutines {
		wait.Go(func() {
			for round := range rounds {
				connection := &owner{g, round}
				if previous := c.Claim("anna", connection); previous != nil {
					ended[previous.slot][previous.round].Add(1)
				}
				_ = c.Known([]byte("anna"))
				if c.Release("anna", connection) {
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
	c := NewClients[owner]()
	c.Claim("anna", &owner{})
	id := []byte("anna")
	assert.Zero(t, testing.AllocsPerRun(100, func() { _ = c.Known(id) }))
	copy(id, "xxxx")
	assert.True(t, c.Known([]byte("anna")))
	assert.False(t, c.Known(id))
}

func TestLookup(t *testing.T) {
	c := NewClients[owner]()
	assert.Nil(t, c.Lookup("anna"))
	second := &owner{slot: 1}
	c.Claim("anna", &owner{})
	c.Claim("anna", second)
	assert.Same(t, second, c.Lookup("anna"), "who has it now")
}
