package main_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// The ledger is told of three messages, acknowledged at 100, 200 and 300 ms in life 1, which ended at 400 ms, and
// of arrivals: 100 ms apart from 110 ms on, those after a zero in life 2.
func TestCrashLedger(t *testing.T) {
	const kill, term, window = syscall.SIGKILL, syscall.SIGTERM, 250 * time.Millisecond
	type harm struct{ lost, doubled, breaches int }
	for _, test := range []struct {
		name     string
		qos      byte
		end      syscall.Signal
		arrivals []int
		total    harm // whatever the rule
		faults   harm // what no kill excuses
	}{
		{"in order", 2, kill, []int{1, 2, 3}, harm{}, harm{}},
		{"in order, in two lives", 2, kill, []int{1, 0, 2, 3}, harm{}, harm{}},
		{"one is missed and was young at the kill", 1, kill, []int{1, 0, 3}, harm{lost: 1}, harm{}},
		{"one is missed and was old at the kill", 1, kill, []int{0, 2, 3}, harm{lost: 1}, harm{lost: 1}},
		{"one is missed and there was no kill", 1, term, []int{1, 0, 3}, harm{lost: 1}, harm{lost: 1}},
		{"one is missed before the kill", 1, kill, []int{1, 3}, harm{lost: 1}, harm{lost: 1}},
		{"one comes late", 1, kill, []int{1, 3, 2}, harm{lost: 1, breaches: 1}, harm{lost: 1, breaches: 1}},
		{"again at QoS 1", 1, term, []int{1, 2, 3, 0, 2, 3}, harm{}, harm{}},
		{"again at QoS 1 without order", 1, term, []int{1, 2, 3, 0, 3, 2, 1}, harm{breaches: 1}, harm{breaches: 1}},
		{"again at QoS 2, old at the kill", 2, kill, []int{1, 0, 1, 2, 3}, harm{doubled: 1}, harm{doubled: 1}},
		{"again at QoS 2, young at the kill", 2, kill, []int{1, 2, 0, 2, 3}, harm{doubled: 1}, harm{}},
		{"again at QoS 2, in the same life", 2, kill, []int{1, 2, 2, 3}, harm{doubled: 1}, harm{doubled: 1}},
		{"again at QoS 2, and there was no kill", 2, term, []int{1, 2, 0, 2, 3}, harm{doubled: 1}, harm{doubled: 1}},
		{"never sent", 2, kill, []int{1, 2, 3, 4}, harm{breaches: 1}, harm{breaches: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			lives := &crashLives{}
			stream := &crashStream{topic: "t", qos: test.qos}
			sight := &crashSight{stream: stream, qos: test.qos, reconnects: func() int { return 2 }}
			sight.reader = &crashReader{name: "r", sights: map[string]*crashSight{"t": sight}}
			l := &crashLedger{streams: []*crashStream{stream}, readers: []*crashReader{sight.reader}, settled: map[int]int{}}
			for n := 1; n <= 3; n++ {
				l.send(stream)
				l.settle(stream, n, crashMoment{time.Duration(n) * 100 * time.Millisecond, 1})
			}
			lives.end(crashEnd{signal: test.end, before: 400 * time.Millisecond})
			when := crashMoment{110 * time.Millisecond, 1}
			for _, n := range test.arrivals {
				if n == 0 {
					when.life = 2
					continue
				}
				l.arrive(sight, n, when)
				when.at += 100 * time.Millisecond
			}
			strict, lenient := l.judge(lives, 0), l.judge(lives, window)
			assert.Equal(t, test.total, harm{strict.lost.total, strict.doubled.total, len(strict.breaches)})
			assert.Equal(t, test.total, harm{len(strict.lost.faults), len(strict.doubled.faults), len(strict.breaches)})
			assert.Equal(t, test.faults, harm{len(lenient.lost.faults), len(lenient.doubled.faults), len(lenient.breaches)})
		})
	}
}

// What is found retained: message 5 is empty; 4, 6 and 7 were acknowledged at 100, 300 and 350 ms in life 1, which
// was killed at 400 ms; 8 was sent.
func TestCrashWatch(t *testing.T) {
	for _, test := range []struct {
		found, life            int
		strictly, in250, in120 bool
	}{
		{7, 2, true, true, true},
		{8, 2, true, true, true},
		{9, 2, false, false, false},
		{6, 2, false, true, true},
		{4, 2, false, true, true},
		{0, 2, false, true, true},
		{3, 2, false, false, false},
		{6, 1, false, false, false},
	} {
		lives := &crashLives{}
		lives.end(crashEnd{signal: syscall.SIGKILL, before: 400 * time.Millisecond})
		at := func(ms int) crashMoment { return crashMoment{time.Duration(ms) * time.Millisecond, 1} }
		s := &crashStream{topic: "keep", retained: true, sent: 8,
			settled: []crashMoment{at(10), at(20), at(30), at(100), at(299), at(300), at(350), {}}}
		asked := crashMoment{500 * time.Millisecond, test.life}
		w := crashWatch{stream: s, settled: 7, sent: 8, found: test.found, when: asked}
		for window, right := range map[time.Duration]bool{
			0: test.strictly, 250 * time.Millisecond: test.in250, 120 * time.Millisecond: test.in120,
		} {
			var tally crashTally
			w.judge(lives, window, &tally)
			assert.Equal(t, right, len(tally.faults) == 0, "%+v in %v: %v", test, window, tally.faults)
		}
	}
}

// A subscription was made at 100 ms and removed at 300 ms in life 1, which was killed at 400 ms.
func TestCrashFact(t *testing.T) {
	const ms = time.Millisecond
	lives := &crashLives{}
	lives.end(crashEnd{signal: syscall.SIGKILL, before: 400 * ms})
	var fact crashFact
	fact.change(true)(crashMoment{100 * ms, 1})
	assert.False(t, fact.may(false, lives, 1, 250*ms))
	assert.False(t, fact.may(false, lives, 2, 250*ms), "removed by itself")
	fact.change(false)(crashMoment{300 * ms, 1})
	assert.True(t, fact.may(true, lives, 2, 250*ms), "the change was young at the kill")
	assert.False(t, fact.may(true, lives, 2, 50*ms), "the change was old")
	assert.False(t, fact.may(true, lives, 1, 250*ms), "the change was in the same life")
	assert.False(t, fact.may(true, lives, 2, 0))
	settle := fact.change(true)
	assert.True(t, fact.may(true, lives, 2, 0), "asked for")
	assert.True(t, fact.may(false, lives, 2, 0), "but not acknowledged")
	settle(crashMoment{500 * ms, 2})
	assert.False(t, fact.may(false, lives, 3, 250*ms))
}
