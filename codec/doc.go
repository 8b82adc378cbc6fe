// Package codec turns bytes into MQTT Control Packets and back, for MQTT 3.1 and 3.1.1.
//
// It has two layers. A [Decoder] cuts the byte stream of one connection into [Frame]s, the whole packets, and
// refuses what the fixed header already shows to be wrong. Parse functions then read one frame, Append functions
// write one packet. Rule numbers such as [MQTT-3.3.2-2] are those of the OASIS standard MQTT 3.1.1.
//
// # Ownership
//
//   - A chunk given to [Decoder.Feed] is lent until it is drained or held; the decoder keeps no reference after that.
//   - A [Frame] is lent to the caller until the next call of [Decoder.Next] or [Decoder.Feed]. It lies in the chunk
//     itself when it arrived in one piece, in bytes of the decoder when it did not.
//   - Whatever Parse functions return borrows from the frame. Who keeps it copies it.
//   - Append functions grow the caller's slice and keep no reference to their arguments.
//   - A Decoder is loop-confined: one goroutine at a time. All functions are safe from anywhere.
//
// # Faults
//
// Bytes from a peer never panic: they yield an [*Error] that names the packet type, the rule and the reason code of
// MQTT 5. Append functions panic when their own precondition is broken, because that is a bug of ours.
package codec
