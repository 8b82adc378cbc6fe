package main_test

import (
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	crashFilters = 8                    // of the changer
	crashChanges = 30                   // most changes of a connection
	crashThought = 5 * time.Millisecond // longest pause of the changer between two changes

	crashStay = 40 * time.Millisecond // longest connection with Clean Session

	byteUnsubscribe = 0xA2
	byteUnsuback    = 0xB0
)

// crashChanger subscribes and unsubscribes, one at a time, and at times ends its session with a CONNECT with Clean
// Session. When it connects, it finds out what the broker remembers.
type crashChanger struct {
	c       *crash
	random  *rand.Rand
	session crashFact
	created func(crashMoment) // settles the latest change of session: a new one is kept from its first SUBACK on
	filters [crashFilters]crashFact
	latest  uint16 // the last Packet Identifier
}

const crashChangerID = "crash-changer"

// crashFact is whether something is so: what it was changed to, the latest last. It is used by one goroutine.
type crashFact []crashChange

type crashChange struct {
	to    bool
	known crashMoment // when it was acknowledged, or found; never: it may or may not be
}

// change notes that something is asked for. It is settled when it is acknowledged.
func (f *crashFact) change(to bool) (settle func(crashMoment)) {
	*f = append(*f, crashChange{to: to})
	i := len(*f) - 1
	return func(when crashMoment) { (*f)[i].known = when }
}

// may reports whether something may be found so in a life.
func (f crashFact) may(be bool, lives *crashLives, life int, window time.Duration) bool {
	for i := len(f) - 1; i >= 0; i-- {
		if f[i].to == be {
			return true
		}
		known := f[i].known
		if _, excused := lives.excuses(known, window); known.life != 0 && (!excused || known.life >= life) {
			return false
		}
	}
	return !be
}

func (f crashFact) String() string {
	text := ""
	for _, change := range f[max(0, len(f)-4):] {
		text += fmt.Sprintf(" %v %v;", change.to, change.known)
	}
	return text
}

func (a *crashChanger) run() {
	for !a.c.isEnding() {
		clean := a.random.IntN(4) == 0
		link := a.connect(clean)
		if link == nil {
			continue
		}
		if clean {
			time.Sleep(crashDraw(a.random, crashStay))
		} else if a.probe(link) {
			for range a.random.IntN(crashChanges) {
				time.Sleep(crashDraw(a.random, crashThought))
				if a.c.isEnding() || !a.changeOne(link) {
					break
				}
			}
		}
		if a.random.IntN(2) == 0 {
			_ = link.send([]byte{byteDisconnect, 0}) // fails when the broker is gone
		}
		link.Close()
	}
}

// connect notes whether there was a session, and returns nil when the broker is gone.
func (a *crashChanger) connect(clean bool) *crashLink {
	p, life := a.c.dial()
	if p == nil {
		time.Sleep(crashThought)
		return nil
	}
	packet := connectPersistent(crashChangerID)
	a.created = a.session.change(!clean)
	var settlements []func(crashMoment)
	if clean {
		packet = connectPacket(crashChangerID)
		settlements = append(settlements, a.forget()...)
	}
	before := a.session[:len(a.session)-1]
	connack, err := a.c.enter(p, packet, crashChangerID)
	if err != nil {
		p.Close()
		return nil
	}
	link, now := &crashLink{p, life}, crashMoment{a.c.lives.now(), life}
	present := connack[0] == 1
	switch {
	case connack[1] != 0:
		a.c.ledger.fault("%s: CONNACK %#x in life %d", crashChangerID, connack[1], life)
	case clean && present:
		a.c.ledger.fault("%s: Session Present after Clean Session in life %d", crashChangerID, life)
	case !clean && !before.may(present, &a.c.lives, life, a.c.window()):
		a.c.ledger.fault("%s: Session Present is %v in life %d; session:%v", crashChangerID, present, life, before)
	case !clean && !present:
		settlements = append(settlements, a.forget()...)
	}
	if clean || present {
		settlements = append(settlements, a.created)
	}
	for _, settle := range settlements {
		settle(now)
	}
	return link
}

// forget notes that all subscriptions are to go.
func (a *crashChanger) forget() (settlements []func(crashMoment)) {
	for i := range a.filters {
		settlements = append(settlements, a.filters[i].change(false))
	}
	return settlements
}

func crashChangeTopic(i int) string { return fmt.Sprint("change/", i) }

// probe finds out what is subscribed to: it publishes to everything at QoS 0, to a topic of its own that it has
// subscribed to last. It reports false when the connection ends.
func (a *crashChanger) probe(link *crashLink) bool {
	const last = "change/last"
	if _, err := link.subscribe(a.nextID(), last); err != nil {
		return false
	}
	a.created(crashMoment{a.c.lives.now(), link.life})
	for i := range a.filters {
		if link.send(publishPacket(crashChangeTopic(i), nil)) != nil {
			return false
		}
	}
	if link.send(publishPacket(last, nil)) != nil {
		return false
	}
	found := map[string]bool{}
	for !found[last] {
		got, err := link.await(bytePublish)
		if err != nil {
			return false
		}
		topic, _, err := got.message()
		if err != nil {
			a.c.ledger.fault("%s: %v", crashChangerID, err)
			return false
		}
		found[string(topic)] = true
	}
	now := crashMoment{a.c.lives.now(), link.life}
	for i := range a.filters {
		is := found[crashChangeTopic(i)]
		if !a.filters[i].may(is, &a.c.lives, link.life, a.c.window()) {
			a.c.ledger.fault("%s: found subscribed to %s: %v, %v; filter:%v; session:%v",
				crashChangerID, crashChangeTopic(i), is, now, a.filters[i], a.session)
		}
		a.filters[i].change(is)(now)
	}
	return true
}

// changeOne subscribes or unsubscribes. It reports false when the connection ends.
func (a *crashChanger) changeOne(link *crashLink) bool {
	i, id := a.random.IntN(crashFilters), a.nextID()
	to := a.random.IntN(2) == 0
	settle := a.filters[i].change(to)
	packet, answer := subscribePacket(id, crashChangeTopic(i)), byte(byteSuback)
	if !to {
		packet, answer = unsubscribePacket(id, crashChangeTopic(i)), byteUnsuback
	}
	if link.send(packet) != nil {
		return false
	}
	if _, err := link.await(answer); err != nil {
		return false
	}
	settle(crashMoment{a.c.lives.now(), link.life})
	return true
}

func (a *crashChanger) nextID() uint16 {
	if a.latest++; a.latest == 0 {
		a.latest++
	}
	return a.latest
}

func unsubscribePacket(packetID uint16, filter string) []byte {
	p := fixedHeader(byteUnsubscribe, 2+2+len(filter))
	return appendText(append(p, byte(packetID>>8), byte(packetID)), filter)
}
