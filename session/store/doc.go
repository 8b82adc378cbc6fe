// Package store keeps on disk what must outlive the process: retained messages, sessions with their
// subscriptions, and the messages that are queued for a session or in flight to it.
//
// Loops note changes in memory, within Begin and End; one goroutine, the writer, saves them behind the loops:
//
//	Begin .. End   ->  batch (memory, keyed: the latest change of a key wins)  ->  writer  ->  mqttd.db
//
// Ownership:
//   - The pending batch is guarded by the Store's mutex, which Begin takes and End releases. Nothing else is ever
//     locked under it, and it is never held during input or output.
//   - A batch that the writer has taken, and the database, belong to the writer alone.
//   - Bytes and strings that are noted are immutable: they are kept, not copied.
//
// A batch is on disk, after fdatasync, or it is not: what one Tx noted is never saved in part, but for retained
// messages, each of which stands alone. What is pending is bounded by the state itself, not by how often it changes:
// a message that is queued and acknowledged within one batch leaves nothing behind.
//
// The package imports the standard library and bbolt, and is the only one that knows bbolt. It knows nothing of
// sessions, topics or packets but their keys.
package store
