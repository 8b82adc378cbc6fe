// Package conformance holds an MQTT broker to the normative statements of MQTT 3.1.1.
//
// Run aims the cases at any broker by address, over real sockets and with packets built here byte by byte: the
// package knows nothing of the broker's codec, so an error there cannot excuse itself. The table in statements.go
// lists every statement of the specification's Appendix B and says which are tested and why the others are not.
//
// Where a rule does not depend on the QoS of a message or of the subscription that it meets, its case runs for each of
// both. A case that needs more of the broker than every broker has says so; a Target says what its broker can do.
//
// Rules of ownership: a trial and its clients belong to the one goroutine that runs the case; a Target is immutable
// once Run has it. Cases share the broker, so each uses Client Identifiers and topics of its own.
//
// Rules of waiting: what must happen is waited for, twenty seconds at most. What must not happen is proved with a marker
// that follows it through the broker (a PINGREQ, or a publish by the same publisher). Only the Keep Alive cases, and
// those whose marker could overtake what it follows, let time pass.
package conformance
