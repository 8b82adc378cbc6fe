package main

import "golang.org/x/sys/unix"

const bufferBytesMin = 4096 // a page

// buffer is a queue of bytes in a mapping of its own, so that a large one goes back to the kernel
// when it is released: with the collector off, the heap would keep it. The zero value is empty.
type buffer struct {
	mem        []byte
	start, end int // 0 <= start <= end <= len(mem); the bytes are mem[start:end]
}

func (b *buffer) len() int      { return b.end - b.start }
func (b *buffer) bytes() []byte { return b.mem[b.start:b.end] }
func (b *buffer) reset()        { b.start, b.end = 0, 0 }

func (b *buffer) append(p []byte) {
	if len(b.mem)-b.end < len(p) {
		b.makeRoom(len(p))
	}
	b.end += copy(b.mem[b.end:], p)
}

// drop removes n bytes from the front.
func (b *buffer) drop(n int) {
	b.start += n
	if b.start == b.end {
		b.reset()
	}
}

// makeRoom lets n more bytes fit. Bytes move to the front only when that frees half of the memory,
// so that a slow reader's backlog is not copied for every frame.
func (b *buffer) makeRoom(n int) {
	if b.start > len(b.mem)/2 {
		b.end = copy(b.mem, b.bytes())
		b.start = 0
	}
	size := max(len(b.mem), bufferBytesMin)
	for size-b.end < n {
		size *= 2
	}
	if size > len(b.mem) {
		b.resize(size)
	}
}

func (b *buffer) resize(size int) {
	var err error
	if b.mem == nil {
		b.mem, err = unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	} else {
		b.mem, err = unix.Mremap(b.mem, size, unix.MREMAP_MAYMOVE)
	}
	if err != nil {
		panic(err) // out of memory
	}
}

func (b *buffer) release() {
	if b.mem != nil {
		_ = unix.Munmap(b.mem) // fails only for memory that is not a mapping
	}
	*b = buffer{}
}
