package codec

import "sync"

// Decoder cuts the byte stream of one connection into frames. The zero value is ready, and strict about flags until
// SetVersion says otherwise. It is loop-confined. Its cost at rest is its own 56 bytes: it keeps a buffer only while
// part of a packet, or what Hold was asked to keep, waits for more.
//
// Any cut of the stream gives the same frames and ends in the same fault. After a fault nothing further can be
// decoded: Next repeats the fault, and Feed has no effect.
type Decoder struct {
	chunk   []byte      // lent by Feed, not decoded yet
	held    *heldBuffer // nil when nothing is held; precedes chunk in the stream
	served  int         // bytes at the start of held that Next has returned; 0 <= served <= len(held.bytes)
	fault   *Error      // what ended the stream; held and chunk are nil then
	version Version
}

const (
	heldBytesInitial = 4 << 10  // chosen: most packets are smaller
	heldBytesPooled  = 64 << 10 // chosen: the read size; larger buffers are left to the garbage collector
)

// heldBuffer is a buffer in the pool; the indirection keeps Put from allocating.
type heldBuffer struct{ bytes []byte }

var heldBuffers = sync.Pool{
	New: func() any { return &heldBuffer{bytes: make([]byte, 0, heldBytesInitial)} },
}

// SetVersion tells the decoder the connection's protocol version, once its CONNECT is parsed. It decides over the
// flags of frames that Next has not looked at yet: MQTT 3.1 allows DUP on PUBREL, SUBSCRIBE and UNSUBSCRIBE.
func (d *Decoder) SetVersion(v Version) { d.version = v }

// Feed lends the chunk to the decoder, as the continuation of what came before. The chunk must stay unchanged until
// Next has returned ok=false or an error, or Hold has returned nil, or Release. It ends the loan of the last frame.
// To feed before the chunk lent before is given back in one of these ways is a bug of the caller, and panics.
func (d *Decoder) Feed(chunk []byte) {
	if len(d.chunk) != 0 {
		panic("codec: Feed while the last chunk is neither drained nor held")
	}
	if d.fault != nil {
		return
	}
	d.chunk = chunk
	d.dropServed()
}

// Next returns the next whole frame. With ok=false and no error more bytes are needed; the rest of the chunk has
// been copied and the chunk is no longer referenced. maxBytes is the largest frame allowed, fixed header included.
//
// An error is always an [*Error]. It is returned as soon as the bytes show it: a reserved packet type or wrong flags
// [MQTT-2.2.2-2] from the first byte, a Remaining Length of more than four bytes or a frame above maxBytes from the
// fixed header. Bytes are held as they arrive; nothing is ever allocated for an announced length.
func (d *Decoder) Next(maxBytes int) (f Frame, ok bool, err error) {
	ok, err = d.next(&f, maxBytes)
	return f, ok, err
}

// next is Next; it is apart so that Next can be inlined, which saves one copy of the frame.
func (d *Decoder) next(f *Frame, maxBytes int) (ok bool, err error) {
	if d.held != nil {
		return d.nextHeld(f, maxBytes)
	}
	head, size := shortHeader(d.chunk)
	if size == 0 || size > maxBytes {
		var fault *Error
		if head, size, fault = readHeader(d.chunk, maxBytes, d.version); fault != nil {
			return false, d.fail(fault)
		}
	}
	if size == 0 || size > len(d.chunk) {
		return false, d.pause()
	}
	f.set(d.chunk[:size:size], head)
	d.chunk = d.chunk[size:]
	return true, nil
}

// nextHeld is Next while bytes are held. It takes from the chunk only what completes the first frame held.
func (d *Decoder) nextHeld(f *Frame, maxBytes int) (ok bool, err error) {
	if d.served == len(d.held.bytes) {
		d.giveBack()
		return d.next(f, maxBytes)
	}
	for {
		held := d.held.bytes[d.served:]
		head, size, fault := readHeader(held, maxBytes, d.version)
		if fault != nil {
			return false, d.fail(fault)
		}
		if size != 0 && size <= len(held) {
			d.served += size
			f.set(held[:size:size], head)
			return true, nil
		}
		if len(d.chunk) == 0 {
			d.chunk = nil
			return false, nil
		}
		d.dropServed()
		d.hold(max(1, size-len(held))) // byte by byte until the size is known
	}
}

// pause ends the draining of a chunk: the rest is held. It returns the fault that ended the stream, if one has.
func (d *Decoder) pause() error {
	if len(d.chunk) != 0 {
		d.hold(len(d.chunk))
	}
	d.chunk = nil
	return asError(d.fault)
}

func (d *Decoder) fail(fault *Error) error {
	d.Release()
	d.fault = fault
	return fault
}

// Hold ends the draining of a chunk before its end: the rest is copied behind what is held already, and the chunk is
// no longer referenced. Next goes on from there later, with or without another Feed; after another Feed, another
// Hold adds to it. The last frame stays valid, as long as the chunk is if it lies in there. When more than maxBytes
// would be held in all, Hold copies nothing, leaves the chunk lent and returns ErrHeldFull.
func (d *Decoder) Hold(maxBytes int) error {
	if d.Held()+len(d.chunk) > maxBytes {
		return ErrHeldFull
	}
	if len(d.chunk) != 0 {
		d.hold(len(d.chunk))
	}
	d.chunk = nil
	return nil
}

// Held returns the number of bytes held: copied, and not yet returned by Next.
func (d *Decoder) Held() int {
	if d.held == nil {
		return 0
	}
	return len(d.held.bytes) - d.served
}

// Release gives back all that the decoder holds or was lent, and makes it the zero Decoder again. It ends the loan
// of the last frame: its bytes may belong to another connection at once.
func (d *Decoder) Release() {
	d.giveBack()
	*d = Decoder{}
}

// hold moves up to n bytes from the chunk behind those held.
func (d *Decoder) hold(n int) {
	if d.held == nil {
		d.held = heldBuffers.Get().(*heldBuffer)
	}
	n = min(n, len(d.chunk))
	d.held.bytes = append(d.held.bytes, d.chunk[:n]...)
	d.chunk = d.chunk[n:]
}

// dropServed forgets the bytes of frames that were returned, and the buffer when nothing else is in it.
func (d *Decoder) dropServed() {
	if d.served == 0 {
		return
	}
	rest := d.held.bytes[d.served:]
	if len(rest) == 0 {
		d.giveBack()
		return
	}
	d.held.bytes = append(d.held.bytes[:0], rest...)
	d.served = 0
}

func (d *Decoder) giveBack() {
	if d.held != nil && cap(d.held.bytes) <= heldBytesPooled {
		d.held.bytes = d.held.bytes[:0]
		heldBuffers.Put(d.held)
	}
	d.held, d.served = nil, 0
}
