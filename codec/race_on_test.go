//go:build race

package codec

// raceEnabled: the race detector makes sync.Pool forget at random, so that counts of allocations mean nothing.
const raceEnabled = true
