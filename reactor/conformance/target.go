package conformance

import "time"

// Target is the broker under test and what it promises.
type Target struct {
	// Address is the broker's TCP address, host:port.
	Address string

	// MaxQoS is the highest QoS the broker grants to a subscription, 0 to 2.
	MaxQoS byte

	// PersistentSessions says that a Session with Clean Session 0 outlives its Network Connection.
	PersistentSessions bool

	// MaxInflight is how many messages above QoS 0 the broker has on their way to a Client that acknowledges none.
	// Zero means unknown: the cases that count them are skipped.
	MaxInflight int

	// MaxPacketBytes is the largest packet the broker takes, fixed header included. Zero means unknown: the cases
	// about the limit are skipped.
	MaxPacketBytes int

	// ConnectTimeout is how long the broker waits for a complete CONNECT. Zero means unknown: the case is skipped.
	ConnectTimeout time.Duration

	// KeepAliveSlack is how late the broker may end a connection whose Keep Alive ran out; it may never be early.
	// Zero means two seconds.
	KeepAliveSlack time.Duration

	// Restart ends the broker in an orderly way and starts it again, at the same address and with what it has stored.
	// Run calls it once, after the cases that need none. Nil means that it cannot be done: those that do are skipped.
	Restart func() error

	// Deviations maps the name of a case to the reason why this broker is known not to conform. Such a case is
	// reported instead of failed, and fails when the broker conforms after all.
	Deviations map[string]string
}

func (t Target) keepAliveSlack() time.Duration {
	if t.KeepAliveSlack == 0 {
		return 2 * time.Second
	}
	return t.KeepAliveSlack
}
