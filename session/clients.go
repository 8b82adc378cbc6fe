package session

import (
	"crypto/rand"
	"encoding/base32"
	"sync"
)

// Clients is the registry of Client Identifiers: at any moment at most one handle owns
// an identifier [MQTT-3.1.4-2]. Any goroutine may call its methods; each holds the one
// mutex for a map operation.
type Clients struct {
	mu     sync.Mutex
	owners map[string]Handle // guarded by mu
}

// NewClients returns an empty registry.
func NewClients() *Clients {
	return &Clients{owners: make(map[string]Handle)}
}

// Claim makes h the owner of the identifier. When another handle owned it, previous is
// that handle and taken is true: the caller must see to it that the previous connection
// is closed before the new one is answered [MQTT-3.1.4-2]. As ownership moves in one step,
// each owner is named as previous to exactly one claimant.
func (c *Clients) Claim(clientID string, h Handle) (previous Handle, taken bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	previous, taken = c.owners[clientID]
	c.owners[clientID] = h
	return previous, taken
}

// Release gives the identifier up if h still owns it, and reports whether it did. After
// a takeover it does not, and the call changes nothing.
func (c *Clients) Release(clientID string, h Handle) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.owners[clientID] != h {
		return false
	}
	delete(c.owners, clientID)
	return true
}

// Known reports whether a connection owns the identifier. clientID is not kept.
func (c *Clients) Known(clientID []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, known := c.owners[string(clientID)]
	return known
}

// Lookup returns the handle that owns the identifier, ok is false when none does.
func (c *Clients) Lookup(clientID string) (h Handle, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h, ok = c.owners[clientID]
	return h, ok
}

// Len returns how many identifiers are owned.
func (c *Clients) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.owners)
}

// AssignedClientID returns a Client Identifier for a client that sent none
// [MQTT-3.1.3-6]: "auto-" and 80 random bits, so that nobody can guess it and take the
// connection over.
func AssignedClientID() string {
	var random [10]byte
	rand.Read(random[:]) // crypto/rand.Read never fails
	return "auto-" + base32.HexEncoding.EncodeToString(random[:])
}
