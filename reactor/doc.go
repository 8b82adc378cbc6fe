// Package reactor is the broker: event loops, connections and one handler per packet.
//
// Every connection belongs to one event loop for life, and there is no goroutine per
// client. The way of a PUBLISH, function by function:
//
//	(*Server).OnTraffic   gnet hands over what it read
//	(*loop).serve         the connection's decoder cuts it into packets
//	(*loop).dispatch      legal in this state? then one call per packet type
//	(*loop).onPublish     acknowledge, retain, find the route
//	(*loop).append        its bytes are copied into the round log, once
//	(*loop).flush         hand the log to the other loops that have readers, deliver here
//	(*loop).deliver       one write per reader and round
//	(*loop).drain         the same on another loop, woken by its doorbell
//
// Ownership:
//   - conn, its Session and its decoder are loop-confined.
//   - A loop's mailbox is the only way in from outside the loop.
//   - A round log is written by its loop and immutable from the hand-over on.
//   - Bytes read by gnet are lent until OnTraffic returns.
//   - Counters have one writer, their loop or the acceptor; anyone may sum them.
//   - The acceptor hands connections to loops and keeps none.
package reactor
