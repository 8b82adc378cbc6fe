package session

import (
	"crypto/rand"
	"encoding/base32"
	"sync"
)

// Clients is the registry of Client Identifiers: at any moment at most one connection owns an identifier
// [MQTT-3.1.4-2]. C is the floor above's connection type. Any goroutine may call its methods; each holds the one
// mutex for a map operation.
type Clients[C any] struct {
	mu     sync.Mutex
	owners map[string]*C // guarded by mu
}

// NewClients returns an empty registry.
func NewClients[C any]() *Clients[C] {
	return &Clients[C]{owners: make(map[string]*C)}
}

// Claim makes c the owner of the identifier. When another connection owned it, that is previous, else nil: the caller
// must see to it that the previous connection is closed before the new one is answered [MQTT-3.1.4-2]. As ownership
// moves in one step, each owner is named as previous to exactly one claimant.
func (r *Clients[C]) Claim(clientID string, c *C) (previous *C) {
	r.mu.Lock()
	defer r.mu.Unlock()
	previous = r.owners[clientID]
	r.owners[clientID] = c
	return previous
}

// Release gives the identifier up if c still owns it, and reports whether it did. After a takeover it does not, and
// the call changes nothing.
func (r *Clients[C]) Release(clientID string, c *C) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.owners[clientID] != c {
		return false
	}
	delete(r.owners, clientID)
	return true
}

// Known reports whether a connection owns the identifier. clientID is not kept.
func (r *Clients[C]) Known(clientID []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.owners[string(clientID)] != nil
}

// Lookup returns the connection that owns the identifier, nil when none does.
func (r *Clients[C]) Lookup(clientID string) *C {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.owners[clientID]
}

// Len returns how many identifiers are owned.
func (r *Clients[C]) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.owners)
}

// AssignedClientID returns a Client Identifier for a client that sent none
// [MQTT-3.1.3-6]: "auto-" and 80 random bits, so that nobody can guess it and take the
// connection over.
func AssignedClientID() string {
	var random [10]byte
	rand.Read(random[:]) // crypto/rand.Read never fails
	return "auto-" + base32.HexEncoding.EncodeToString(random[:])
}
