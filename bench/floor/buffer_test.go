package main

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestBufferIsAQueueOfBytes(t *testing.T) {
	var b buffer
	var want []byte
	random := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		p := make([]byte, random.IntN(3000))
		for i := range p {
			p[i] = byte(random.Uint32())
		}
		b.append(p)
		want = append(want, p...)
		n := random.IntN(min(len(want), 3000) + 1)
		b.drop(n)
		want = want[n:]
		if !bytes.Equal(b.bytes(), want) {
			t.Fatalf("holds %d bytes, want %d, or others", b.len(), len(want))
		}
	}
	b.release()
	if b.len() != 0 || b.mem != nil {
		t.Fatal("keeps memory after release")
	}
}

func TestBufferThatIsDrainedReusesItsMemory(t *testing.T) {
	var b buffer
	defer b.release()
	p := make([]byte, bufferBytesMin/4)
	for range 1000 {
		b.append(p)
		b.append(p)
		b.drop(len(p))
		b.drop(len(p) - 1)
		b.drop(1)
	}
	for range 1000 { // never empty
		b.append(p)
		if b.len() > 2*len(p) {
			b.drop(len(p))
		}
	}
	if len(b.mem) > 2*bufferBytesMin {
		t.Fatalf("grew to %d bytes for %d", len(b.mem), b.len())
	}
}

func TestAppendAllocatesNothingOnTheHeap(t *testing.T) {
	var b buffer
	defer b.release()
	p := make([]byte, 100)
	if n := testing.AllocsPerRun(100, func() {
		for range 1000 {
			b.append(p)
		}
		b.reset()
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}
