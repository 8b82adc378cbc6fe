package codec

import (
	"bytes"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const testFrameMax = 1 << 10

// story is a stream of six packets of several sizes, the last with a Remaining Length of two bytes.
func story() []byte {
	stream := AppendConnect(nil, &Connect{Version: Version311, ClientID: []byte("id")})
	stream = AppendSubscribe(stream, 1, []Subscription{{"a/#", QoS0}})
	stream = AppendPublish(stream, &Publish{Topic: []byte("a/b"), Payload: []byte("first")})
	stream = AppendPingreq(stream)
	stream = AppendPublish(stream, &Publish{Topic: []byte("a"), Payload: []byte("second"), QoS: QoS1, PacketID: 2})
	return AppendPublish(stream, &Publish{Topic: []byte("a"), Payload: bytes.Repeat([]byte("x"), 300)})
}

// drain returns copies of all frames that are there now.
func drain(d *Decoder) (frames [][]byte, err error) {
	for {
		f, ok, err := d.Next(testFrameMax)
		if !ok {
			return frames, err
		}
		frames = append(frames, slices.Clone(f.Bytes))
	}
}

// feed lends a copy of the chunk, drains it and spoils it, so that a reference kept to it shows.
func feed(d *Decoder, chunk []byte) (frames [][]byte, err error) {
	lent := slices.Clone(chunk)
	d.Feed(lent)
	frames, err = drain(d)
	spoil(lent)
	return frames, err
}

func spoil(chunk []byte) {
	for i := range chunk {
		chunk[i] = 0xF0 // a reserved packet type
	}
}

func framesOf(t testing.TB, stream []byte) [][]byte {
	t.Helper()
	frames, err := feed(new(Decoder), stream)
	require.NoError(t, err)
	require.Equal(t, stream, slices.Concat(frames...), "the frames are the stream")
	return frames
}

func TestFramesLieInTheChunk(t *testing.T) {
	chunk := story()
	var d Decoder
	d.Feed(chunk)
	at := 0
	for range 6 {
		f, ok, err := d.Next(testFrameMax)
		require.NoError(t, err)
		require.True(t, ok)
		assert.Same(t, &chunk[at], &f.Bytes[0], "not copied")
		assert.Equal(t, len(f.Bytes), cap(f.Bytes), "an append must not reach the next frame")
		assert.Equal(t, f.Bytes[len(f.Bytes)-len(f.Body):], f.Body)
		assert.Equal(t, len(f.Body), cap(f.Body))
		assert.Equal(t, f.Bytes[0], byte(f.Type)<<4|f.Flags)
		at += len(f.Bytes)
	}
	_, ok, err := d.Next(testFrameMax)
	require.NoError(t, err)
	assert.False(t, ok)
	assert.Equal(t, len(chunk), at)
	assert.Zero(t, d, "an idle decoder holds nothing")
}

func TestEveryCutOfTheStreamGivesTheSameFrames(t *testing.T) {
	stream := story()
	want := framesOf(t, stream)
	for size := 1; size <= len(stream); size++ {
		var d Decoder
		var got [][]byte
		for chunk := range slices.Chunk(stream, size) {
			frames, err := feed(&d, chunk)
			require.NoError(t, err)
			require.LessOrEqual(t, d.Held(), testFrameMax)
			got = append(got, frames...)
		}
		require.Equal(t, want, got, "chunks of %d bytes", size)
		require.Zero(t, d.Held())
	}
}

func TestAfterASplitFrameTheOthersLieInTheChunk(t *testing.T) {
	stream := story()
	var d Decoder
	_, err := feed(&d, stream[:3])
	require.NoError(t, err)
	assert.Equal(t, 3, d.Held())

	chunk := stream[3:]
	d.Feed(chunk)
	first, ok, err := d.Next(testFrameMax)
	require.NoError(t, err)
	require.True(t, ok)
	assert.NotSame(t, &stream[0], &first.Bytes[0])
	rest := len(first.Bytes) - 3
	second, ok, err := d.Next(testFrameMax)
	require.NoError(t, err)
	require.True(t, ok)
	assert.Same(t, &chunk[rest], &second.Bytes[0], "in place again")
	assert.Nil(t, d.held, "the buffer has gone back")
}

func TestHeaderFaults(t *testing.T) {
	for _, c := range []struct {
		name   string
		stream []byte
		kind   error
		typ    PacketType
		rule   string
	}{
		{"a fifth byte of remaining length", []byte{0x30, 0x80, 0x80, 0x80, 0x80}, ErrMalformed, PUBLISH, ruleClose},
		{"a byte above the limit", []byte{0x30, 0xFE, 0x07}, ErrTooLarge, PUBLISH, ""}, // 1,022 + 3
		{"256 MB", []byte{0x10, 0xFF, 0xFF, 0xFF, 0x7F}, ErrTooLarge, CONNECT, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d Decoder
			frames, err := feed(&d, c.stream[:len(c.stream)-1])
			assert.NoError(t, err, "not known before the last byte")
			assert.Empty(t, frames)
			_, err = feed(&d, c.stream[len(c.stream)-1:])
			require.ErrorIs(t, err, c.kind)
			requireFault(t, err, c.typ, c.rule)
			assert.Zero(t, d.Held())

			_, whole := feed(new(Decoder), append(c.stream, story()...))
			assert.Equal(t, err, whole)
		})
	}
}

func TestFrameAsLargeAsAllowed(t *testing.T) {
	stream := packetOf(PUBLISH, 0, make([]byte, testFrameMax-3))
	require.Len(t, stream, testFrameMax)
	assert.Len(t, framesOf(t, stream), 1)
}

func TestFaultEndsTheStream(t *testing.T) {
	var d Decoder
	frames, first := feed(&d, append(AppendPingreq(nil), 0xF0))
	require.ErrorIs(t, first, ErrMalformed)
	assert.Len(t, frames, 1, "frames before the fault are good")
	for range 2 {
		frames, err := feed(&d, story())
		assert.Equal(t, first, err)
		assert.Empty(t, frames)
		assert.NoError(t, d.Hold(0))
		assert.Zero(t, d.Held())
	}
	d.Release()
	frames, err := feed(&d, story())
	require.NoError(t, err)
	assert.Len(t, frames, 6, "after Release it is a new decoder")
}

func TestAnnouncedLengthAllocatesNothing(t *testing.T) {
	huge := []byte{0x30, 0xFF, 0xFF, 0xFF, 0x7F}
	var d Decoder
	assert.LessOrEqual(t, testing.AllocsPerRun(100, func() {
		d.Feed(huge)
		_, _, _ = d.Next(1 << 20)
		d.Release()
	}), 2.0, "refused: the error alone")

	d.Feed(huge)
	_, ok, err := d.Next(remainingLengthMax + 5)
	require.NoError(t, err)
	assert.False(t, ok)
	assert.Equal(t, len(huge), d.Held())
	assert.LessOrEqual(t, cap(d.held.bytes), heldBytesPooled, "allowed: held as it arrives")
}

func TestNextDoesNotAllocate(t *testing.T) {
	chunk := bytes.Repeat(story(), 20)
	var d Decoder
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		d.Feed(chunk)
		for {
			if _, ok, _ := d.Next(testFrameMax); !ok {
				return
			}
		}
	}))
}

func TestFramesThatStraddleReadsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool forgets at random")
	}
	frame := packetOf(PUBLISH, 0, make([]byte, 20_000))
	stream := bytes.Repeat(frame, 64)
	var d Decoder
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		for chunk := range slices.Chunk(stream, 64<<10) {
			d.Feed(chunk)
			for ok := true; ok; {
				_, ok, _ = d.Next(1 << 20)
			}
		}
	}))
	assert.Zero(t, d.Held())
}

func TestDecoderIsSmall(t *testing.T) {
	assert.LessOrEqual(t, unsafe.Sizeof(Decoder{}), uintptr(64))
}

func TestSetVersionAppliesToFramesNotYetLookedAt(t *testing.T) {
	resent := AppendSubscribe(nil, 1, []Subscription{{"a", QoS1}})
	resent[0] |= flagDup
	stream := append(AppendConnect(nil, &Connect{Version: Version31, ClientID: []byte("i")}), resent...)
	for _, chunkBytes := range []int{len(stream), 1} {
		var d Decoder
		var last Frame
		for chunk := range slices.Chunk(stream, chunkBytes) {
			d.Feed(chunk)
			for {
				f, ok, err := d.Next(testFrameMax)
				require.NoError(t, err)
				if !ok {
					break
				}
				d.SetVersion(Version31)
				last = f
			}
		}
		assert.Equal(t, SUBSCRIBE, last.Type)
		assert.EqualValues(t, 0x0A, last.Flags)
	}
}

func TestFeedBeforeTheLastChunkIsGivenBack(t *testing.T) {
	var d Decoder
	d.Feed(story())
	assert.Panics(t, func() { d.Feed(story()) })
}

// A connection that is parked: it goes on reading, and nothing is decoded until later.
func TestHoldByteByByte(t *testing.T) {
	stream := story()
	want := framesOf(t, stream)
	var d Decoder
	for i := range stream {
		chunk := []byte{stream[i]}
		d.Feed(chunk)
		require.NoError(t, d.Hold(len(stream)))
		spoil(chunk)
		require.Equal(t, i+1, d.Held())
	}
	got, err := drain(&d)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	assert.Zero(t, d, "all is given back")
}

// A CONNECT is parked while what follows it in the same chunk waits, and more comes.
func TestHoldInTheMiddleOfAChunk(t *testing.T) {
	stream := story()
	want := framesOf(t, stream)
	for cut := len(want[0]); cut <= len(stream); cut++ {
		chunk := slices.Clone(stream[:cut])
		var d Decoder
		d.Feed(chunk)
		connect, ok, err := d.Next(testFrameMax)
		require.NoError(t, err)
		require.True(t, ok)
		require.NoError(t, d.Hold(len(stream)))
		require.Equal(t, want[0], connect.Bytes, "the last frame stays valid")
		spoil(chunk)
		require.Equal(t, cut-len(want[0]), d.Held())

		rest := slices.Clone(stream[cut:])
		d.Feed(rest)
		got, err := drain(&d)
		require.NoError(t, err)
		require.Equal(t, want[1:], got, "cut at %d", cut)
		require.Zero(t, d.Held())
	}
}

func TestHoldKeepsTheLastFrameValid(t *testing.T) {
	stream := story()
	want := framesOf(t, stream)
	var d Decoder
	_, err := feed(&d, stream[:5]) // so that the first frame is served from held bytes
	require.NoError(t, err)
	d.Feed(stream[5:])
	f, ok, err := d.Next(testFrameMax)
	require.NoError(t, err)
	require.True(t, ok)
	require.NoError(t, d.Hold(len(stream)))
	assert.Equal(t, want[0], f.Bytes)
	got, err := drain(&d)
	require.NoError(t, err)
	assert.Equal(t, want[1:], got)
}

func TestFeedEndsTheLoanOfAHeldFrame(t *testing.T) {
	var d Decoder
	d.Feed(AppendPingreq(nil))
	require.NoError(t, d.Hold(testFrameMax))
	_, ok, err := d.Next(testFrameMax)
	require.NoError(t, err)
	require.True(t, ok)
	assert.NotNil(t, d.held, "still lent to the caller")
	frames, err := feed(&d, story())
	require.NoError(t, err)
	assert.Len(t, frames, 6)
	assert.Nil(t, d.held)
}

func TestHoldHasALimit(t *testing.T) {
	stream := story()
	var d Decoder
	d.Feed(stream[:10])
	require.NoError(t, d.Hold(10))
	d.Feed(stream[10:])
	require.ErrorIs(t, d.Hold(len(stream)-1), ErrHeldFull)
	assert.Equal(t, 10, d.Held(), "nothing is copied")
	require.NoError(t, d.Hold(len(stream)), "the chunk is still lent")
	assert.Equal(t, len(stream), d.Held())
	require.NoError(t, d.Hold(len(stream)), "without a chunk there is nothing to add")
	d.Release()
	assert.Zero(t, d)
	assert.NoError(t, d.Hold(0))
}

// One frame is served for each one that is added: what was served must not pile up.
func TestHeldBytesDoNotGrowWithWhatWasServed(t *testing.T) {
	ping := AppendPingreq(nil)
	var d Decoder
	d.Feed(bytes.Repeat(ping, 3))
	require.NoError(t, d.Hold(testFrameMax))
	for range 10_000 {
		_, ok, err := d.Next(testFrameMax)
		require.NoError(t, err)
		require.True(t, ok)
		d.Feed(ping)
		require.NoError(t, d.Hold(testFrameMax))
	}
	assert.Equal(t, 3*len(ping), d.Held())
	assert.LessOrEqual(t, len(d.held.bytes), 4*len(ping))
}

func TestLargeBuffersAreNotPooled(t *testing.T) {
	var d Decoder
	d.Feed(packetOf(PUBLISH, 0, make([]byte, 2*heldBytesPooled))[:heldBytesPooled+1])
	_, ok, err := d.Next(1 << 20)
	require.NoError(t, err)
	require.False(t, ok)
	large := d.held
	d.Release()
	assert.Zero(t, d.Held())
	assert.NotSame(t, large, heldBuffers.Get(), "left to the garbage collector")
}

// FuzzDecoderCuts cuts any stream anywhere. Each byte of cuts is the size of a chunk, in its upper seven bits, and
// whether it is held, in its lowest.
func FuzzDecoderCuts(f *testing.F) {
	f.Add(story(), []byte{2, 5, 8, 1, 0, 40}, false)
	f.Add(append(story(), 0x62, 2, 0, 1, 0x6A, 2, 0, 1, 0xF0), []byte{3, 3, 3}, true)
	f.Add([]byte{0x30, 0xFF, 0xFF, 0xFF, 0x7F}, []byte{2}, true)
	f.Add([]byte{0x30, 0x80, 0x80, 0x80, 0x80, 0x01}, []byte{2, 2, 3}, false)
	f.Fuzz(func(t *testing.T, stream, cuts []byte, is31 bool) {
		var whole, cut Decoder
		if is31 {
			whole.SetVersion(Version31)
			cut.SetVersion(Version31)
		}
		want, wantErr := feed(&whole, stream)
		decoded := slices.Concat(want...)
		require.True(t, bytes.HasPrefix(stream, decoded), "the frames are the start of the stream")

		got, err := feedInPieces(t, &cut, stream, cuts)
		require.Equal(t, want, got)
		require.Equal(t, wantErr, err)
		require.Equal(t, whole.Held(), cut.Held())
		if err != nil {
			require.Zero(t, cut.Held())
			return
		}
		require.Equal(t, len(stream)-len(decoded), cut.Held())
		require.Less(t, cut.Held(), testFrameMax)
	})
}

func feedInPieces(t *testing.T, d *Decoder, stream, cuts []byte) (got [][]byte, err error) {
	for _, cut := range cuts {
		chunk := slices.Clone(stream[:min(int(cut>>1), len(stream))])
		stream = stream[len(chunk):]
		if cut&1 != 0 {
			d.Feed(chunk)
			require.NoError(t, d.Hold(d.Held()+len(chunk)))
			spoil(chunk)
			continue
		}
		frames, err := feed(d, chunk)
		require.Less(t, d.Held(), testFrameMax)
		if got = append(got, frames...); err != nil {
			return got, err
		}
	}
	frames, err := feed(d, stream)
	return append(got, frames...), err
}
