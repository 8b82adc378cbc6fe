// Package router knows who wants which topic.
//
// A Router holds the subscriptions of all clients, sharded by the first level of their
// Topic Filters. A Cache, one per event loop, turns a Topic Name into a Route: the
// immutable list of who gets it, grouped by the loop that serves them. Retained holds
// the retained messages.
//
// The cost of a publish does not grow with the number of unrelated subscriptions: a
// topic that was published before is one map lookup and two atomic loads. The cost of a
// SUBSCRIBE does not grow with the subscriptions there are: it changes one entry and
// bumps one counter, and the routes it touches are built again by the next publish.
//
// Ownership:
//   - A shard is guarded by its mutex, held for one change or one rebuild. No callback
//     runs and nothing is written while it is held, and no two shards are ever locked
//     together.
//   - A Route is immutable and shared by all loops.
//   - A Cache is loop-confined.
//
// A subscriber is opaque here: an identifier that is only compared, and the group in
// which it wants to be listed. The package imports codec and never session.
package router
