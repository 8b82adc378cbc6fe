// Package session knows who is connected: the fixed array of client slots,
// the registry of Client Identifiers, what the broker remembers of each client,
// and which packet a client may send when.
//
// Ownership:
//   - A Session is loop-confined: only the event loop that serves its connection
//     touches it.
//   - Table and Clients are shared by all loops; each says in its comments which
//     of its methods any goroutine may call.
//
// The package knows nothing of sockets, topics or loops. It imports codec for the
// specification's types and never imports router: the floor above binds the two.
package session
