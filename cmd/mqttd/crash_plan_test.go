package main_test

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"
)

// crashPlan is what happens in one life of the broker.
type crashPlan struct {
	loops    string
	signal   syscall.Signal // that ends it
	loading  float64        // above 0: it ends at this part of the time that the last start took
	progress int            // or else after so many messages were acknowledged to publishers
	delay    time.Duration  // and this time
	manners  []crashManner  // of the subscribers
	away     []bool         // which of them are away
	leave    []bool         // which of them go away just before the end
	move     []bool         // which of them, then the publishers, connect again before the end without closing
}

const (
	crashPublishers  = 3
	crashSubscribers = 4 // besides one that is away all the time
)

// crashPlans draws the plans of so many kills, and as many SIGTERMs as come between.
func crashPlans(seed uint64, kills int) (plans []crashPlan) {
	random := rand.New(rand.NewPCG(seed, 0))
	for kills > 0 {
		p := crashPlan{
			loops:    fmt.Sprint(1 + random.IntN(2)),
			signal:   syscall.SIGKILL,
			progress: 1 + random.IntN(700),
			delay:    crashDraw(random, 10*time.Millisecond),
			manners:  make([]crashManner, crashSubscribers),
			away:     make([]bool, crashSubscribers),
			leave:    make([]bool, crashSubscribers),
			move:     make([]bool, crashSubscribers+crashPublishers),
		}
		switch draw := random.IntN(10); {
		case draw == 0:
			p.signal = syscall.SIGTERM
		case draw <= 2:
			p.loading = 1.5 * random.Float64()
		}
		for i := range crashSubscribers {
			p.manners[i] = []crashManner{promptly, promptly, slowly, notYet}[random.IntN(4)]
			p.away[i] = random.IntN(5) == 0
			p.leave[i] = random.IntN(8) == 0
		}
		if random.IntN(3) == 0 {
			for i := range p.move {
				p.move[i] = random.IntN(2) == 0
			}
		}
		if p.signal == syscall.SIGKILL {
			kills--
		}
		plans = append(plans, p)
	}
	return plans
}

// crashPlainPlans end lives under load, with nothing else going on.
func crashPlainPlans(ends int, signal syscall.Signal) (plans []crashPlan) {
	for i := range ends {
		plans = append(plans, crashPlan{
			loops:    fmt.Sprint(1 + i%2),
			signal:   signal,
			progress: 300,
			manners:  make([]crashManner, crashSubscribers),
			away:     make([]bool, crashSubscribers),
			leave:    make([]bool, crashSubscribers),
			move:     make([]bool, crashSubscribers+crashPublishers),
		})
	}
	return plans
}

func (p crashPlan) String() string {
	when := fmt.Sprintf("after %d acknowledged and %v", p.progress, p.delay)
	if p.loading > 0 {
		when = fmt.Sprintf("at %.2f of the start", p.loading)
	}
	return fmt.Sprintf("loops=%s %v %s manners=%v away=%v leave=%v move=%v",
		p.loops, p.signal, when, p.manners, p.away, p.leave, p.move)
}

// crashDraw returns a time from 0 up to a limit.
func crashDraw(random *rand.Rand, limit time.Duration) time.Duration {
	return time.Duration(random.Int64N(int64(limit)))
}
