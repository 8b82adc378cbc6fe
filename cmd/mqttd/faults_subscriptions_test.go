package main_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Clients subscribe to ten times as many filters as they may. Those within the limit are granted, the rest refused, and
// all are forgotten when the clients leave.
func TestFaultTooManyFilters(t *testing.T) {
	const filters, perPacket, allowed = 100_000, 1000, 10_000
	f := beginFault(t, "too-many-filters")
	bombers := sized(3, 20)
	var peers []*peer
	var all sync.WaitGroup
	for i := range bombers {
		p := newPeer(t, f.broker, 0)
		peers = append(peers, p)
		all.Go(func() {
			codes := []byte{}
			for from := 0; from < filters; from += perPacket {
				names := make([]string, perPacket)
				for k := range names {
					names[k] = fmt.Sprintf("bomb/%d/%d", i, from+k)
				}
				got, err := p.subscribe(uint16(from/perPacket+1), names...)
				if !assert.NoError(t, err) {
					return
				}
				codes = append(codes, got...)
			}
			assert.Equal(t, allowed, bytes.Count(codes, []byte{0}), "granted")
			assert.Equal(t, filters-allowed, bytes.Count(codes, []byte{0x80}), "refused")
			assert.Equal(t, allowed, bytes.IndexByte(codes, 0x80), "in order")
		})
	}
	all.Wait()
	f.growsAtMost(bombers * allowed * 2048)

	flood := startFlood(t, f.broker, 100, 8, func(n int) string { return fmt.Sprint("bomb/0/", n) })
	numbers, err := peers[0].readNumbered(8, func(n int) bool { return n == 2 })
	require.NoError(t, err)
	require.Equal(t, []int{0, 1, 2}, numbers)
	flood.stop(t)
	for _, p := range peers {
		p.Close()
	}
	f.end()
}

// A SUBSCRIBE with more filters than one may have is answered filter by filter.
func TestFaultTooManyFiltersInOnePacket(t *testing.T) {
	f := beginFault(t, "too-many-filters-in-one-packet")
	p := newPeer(t, f.broker, 0)
	names := make([]string, 20_000)
	for i := range names {
		names[i] = fmt.Sprint("one/", i)
	}
	codes, err := p.subscribe(1, names...)
	require.NoError(t, err)
	require.Len(t, codes, len(names))
	assert.Equal(t, 1000, bytes.IndexByte(codes, 0x80))
	assert.Equal(t, 19_000, bytes.Count(codes, []byte{0x80}))
	p.Close()
	f.end()
}

// Topics and filters of nothing but separators, as long as the protocol allows.
func TestFaultLongestTopics(t *testing.T) {
	f := beginFault(t, "longest-topics")
	slashes := strings.Repeat("/", 65535)
	for range sized(20, 1000) {
		p := newPeer(t, f.broker, 0)
		codes, err := p.subscribe(1, slashes, slashes[:4096], slashes[:127], "good")
		require.NoError(t, err)
		assert.Equal(t, []byte{0x80, 0x80, 0, 0}, codes)
		require.NoError(t, p.send(publishPacket(slashes[:127], []byte("deep"))))
		_, err = p.await(bytePublish)
		require.NoError(t, err, "128 levels are allowed")
		require.NoError(t, p.send(publishPacket(slashes, []byte("x"))))
		assert.NoError(t, p.awaitClosed(faultPatience))
		p.Close()
	}
	f.growsAtMost(0)
	f.end()
}

// Thousands of filters of 128 levels, each a name or a wildcard, match topics that nobody has seen before.
func TestFaultDeepWildcards(t *testing.T) {
	const levels, perClient, perPacket = 128, 750, 250 // a client may have 100,000 levels
	f := beginFault(t, "deep-wildcards")
	random := rand.New(rand.NewPCG(1, 2))
	var peers []*peer
	for range sized(2, 12) {
		p := newPeer(t, f.broker, 0)
		peers = append(peers, p)
		for packetID := range uint16(perClient / perPacket) {
			filters := make([]string, perPacket)
			for i := range filters {
				filters[i] = deepFilter(random, levels)
			}
			codes, err := p.subscribe(packetID+1, filters...)
			require.NoError(t, err)
			require.NotContains(t, codes, byte(0x80))
		}
	}
	publisher := newPeer(t, f.broker, 0)
	topics := sized(20, 100)
	longest := time.Duration(0)
	for i := range topics {
		topic := strings.Repeat("a/", levels-1) + fmt.Sprint(i)
		begun := time.Now()
		require.NoError(t, publisher.send(publishPacket(topic, numbered(i, 8))))
		require.NoError(t, publisher.ping())
		longest = max(longest, time.Since(begun))
	}
	t.Logf("%s: %d filters of %d levels, up to %v for a topic that is new", f.name, len(peers)*perClient, levels, longest)
	if *faultSizes == "full" {
		assert.Less(t, longest, 2*time.Second)
	}
	for _, p := range peers {
		numbers, err := p.readNumbered(8, func(n int) bool { return n == topics-1 })
		require.NoError(t, err)
		assert.Equal(t, topics, len(numbers), "each message once, however many filters match")
		p.Close()
	}
	publisher.Close()
	f.end()
}

// deepFilter matches every topic of so many levels in which all but the last are "a".
func deepFilter(random *rand.Rand, levels int) string {
	parts := make([]string, levels)
	for i := range parts {
		parts[i] = "+"
		if i < levels-1 && random.IntN(2) == 0 {
			parts[i] = "a"
		}
	}
	return strings.Join(parts, "/")
}
