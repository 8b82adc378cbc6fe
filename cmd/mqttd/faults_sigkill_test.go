package main_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// SIGKILL under load: another broker takes the port at once, and the clients come back.
func TestFaultSIGKILL(t *testing.T) {
	f := beginFault(t, "sigkill")
	crowd := sized(100, 1000)
	var first, again, all sync.WaitGroup
	first.Add(crowd)
	again.Add(crowd)
	for i := range crowd {
		p := newPeer(t, f.broker, 0, "kill")
		all.Go(func() { comeBack(t, f.broker, p, i, &first, &again) })
	}
	flood := startFlood(t, f.broker, sized(100, 500), 256, to("kill"))
	first.Wait() // everybody has had a message
	f.report()

	f.allowed = -1 // killed
	f.kill()
	killed := time.Now()
	b := startBrokerWith(t, f.port, brokerProgram)
	took := time.Since(killed)
	t.Logf("%s: listens again after %v", f.name, took)
	if *faultSizes == "full" {
		assert.Less(t, took, 2*time.Second)
	}
	<-flood.done
	assert.Error(t, flood.err, "the flood ended with the broker, or the test is about nothing")

	reborn := watch(t, "sigkill-restarted", b)
	flood = startFlood(t, b, 100, 256, to("kill"))
	again.Wait() // everybody has had a message again
	t.Logf("%s: everybody is back after %v", reborn.name, time.Since(killed))
	all.Wait()
	flood.stop(t)
	reborn.end()
}

// comeBack reads until the connection ends, connects again until that succeeds, and reads a message.
func comeBack(t *testing.T, b *broker, p *peer, i int, first, again *sync.WaitGroup) {
	_, _, err := p.nextNumbered(256)
	assert.NoError(t, err, "before the kill")
	first.Done()
	defer again.Done()
	for err == nil {
		_, _, err = p.nextNumbered(256)
	}
	p.Close()
	for deadline := time.Now().Add(faultPatience); ; time.Sleep(20 * time.Millisecond) {
		back, err := connectAgain(b, i)
		if err == nil {
			_, _, err = back.nextNumbered(256)
			assert.NoError(t, err, "after the restart")
			back.Close()
			return
		}
		if time.Now().After(deadline) {
			assert.NoError(t, err, "connecting again")
			return
		}
	}
}

func connectAgain(b *broker, i int) (*peer, error) {
	p, err := dialPeer(b, 0)
	if err != nil {
		return nil, err
	}
	if err = p.connect(fmt.Sprint("again-", i)); err == nil {
		_, err = p.subscribe(1, "kill")
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}
