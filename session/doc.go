// Package session knows who is connected: the fixed array of client slots,
// the registry of Client Identifiers, what the broker remembers of each client,
// and which packet a client may send when.
//
// Ownership:
//   - A Session is loop-confined while its client is connected: only the event loop
//     that serves the connection touches it, but for its Outbox. While the client is
//     away it is in Absent, and whoever takes it out owns it.
//   - Outbox, Table, Clients and Absent are shared by all loops; each says in its
//     comments which of its methods any goroutine may call.
//
// The package knows nothing of sockets, topics or loops. It imports codec for the
// specification's types, notes in session/store what is to outlive the process, and
// never imports router: the floor above binds the two.
package session
