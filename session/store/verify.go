package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// What bbolt writes, in the byte order of the machine (bbolt/internal/common):
//
//	meta page     header | magic u32 | version u32 | page size u32 | flags u32 | root u64 | sequence u64 |
//	              free list u64 | pages u64 | transaction u64 | FNV-1a of all that u64
//	other pages   header | elements | keys and values
//	header        page u64 | flags u16 | count u16 | overflow u32
//	leaf element  flags u32 | position u32, from here | key size u32 | value size u32
//	branch elem.  position u32, from here | key size u32 | page u64
//	bucket value  root u64 | sequence u64, and a leaf page when root is 0
const (
	boltMagic   = 0xED0CDAED
	boltVersion = 2

	headerSize  = 16
	elementSize = 16
	metaSize    = 64
	bucketSize  = 16

	branchPage = 0x01
	leafPage   = 0x02
	metaPage   = 0x04
	bucketLeaf = 0x01
)

// Bounds of the size of a page, as bbolt looks for it.
const (
	pageSizeMin = 1 << 10
	pageSizeMax = 16 << 20
)

var native = binary.NativeEndian

// verifier checks the structure of a file before bbolt maps it into memory: bbolt trusts what it reads, and ends the
// process, in goroutines of its own, when that is wrong.
type verifier struct {
	file     *os.File
	pageSize int64
	pages    uint64 // in use: numbers are lower
	seen     []bool // by page: it belongs to the tree
}

// verify returns ErrDamaged unless the file is a sound database: both meta pages are whole, all pages of the tree are
// there, once each, and hold keys in order. It reads the file once from start to end, which also brings it into the
// page cache, and then page by page.
func verify(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	size, err := io.Copy(io.Discard, struct{ io.Reader }{file})
	if err != nil {
		return err
	}
	v := &verifier{file: file}
	root, err := v.metas(size)
	if err != nil {
		return err
	}
	v.seen = make([]bool, v.pages)
	return v.tree(root, nil, nil)
}

// metas reads both meta pages and returns the root of the latest transaction. One that is not valid is not passed
// over, though bbolt would: it fits a sector and is never written in part, and the other one is a transaction older.
func (v *verifier) metas(size int64) (root uint64, err error) {
	first, err := v.meta(0)
	if err != nil {
		return 0, err
	}
	v.pageSize = int64(native.Uint32(first[8:]))
	if v.pageSize < pageSizeMin || v.pageSize > pageSizeMax || v.pageSize&(v.pageSize-1) != 0 {
		return 0, damaged("pages of %d bytes", v.pageSize)
	}
	latest, err := v.meta(v.pageSize)
	if err != nil {
		return 0, err
	}
	if native.Uint64(first[48:]) > native.Uint64(latest[48:]) {
		latest = first
	}
	v.pages = native.Uint64(latest[40:])
	if v.pages > uint64(size/v.pageSize) {
		return 0, damaged("%d bytes are there of %d pages", size, v.pages)
	}
	return native.Uint64(latest[16:]), nil
}

func (v *verifier) meta(offset int64) ([]byte, error) {
	buf := make([]byte, headerSize+metaSize)
	if _, err := v.file.ReadAt(buf, offset); err != nil {
		return nil, truncated(err)
	}
	meta := buf[headerSize:]
	sum := fnv.New64a()
	sum.Write(meta[:metaSize-8])
	if native.Uint32(meta) != boltMagic || native.Uint32(meta[4:]) != boltVersion ||
		native.Uint64(meta[metaSize-8:]) != sum.Sum64() {
		return nil, damaged("the meta page at %d is not valid", offset)
	}
	return meta, nil
}

func truncated(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return damaged("it is too short")
	}
	return err
}

// tree checks the pages below and including id: their keys are not less than low, and less than high. nil: no bound.
func (v *verifier) tree(id uint64, low, high []byte) error {
	page, err := v.page(id)
	if err != nil {
		return err
	}
	return v.elements(page, fmt.Sprintf("page %d", id), low, high)
}

// page reads a page with what overflows from it.
func (v *verifier) page(id uint64) ([]byte, error) {
	if err := v.visit(id); err != nil {
		return nil, err
	}
	page := make([]byte, v.pageSize)
	if _, err := v.file.ReadAt(page, int64(id)*v.pageSize); err != nil {
		return nil, truncated(err)
	}
	if native.Uint64(page) != id {
		return nil, damaged("page %d says that it is page %d", id, native.Uint64(page))
	}
	overflow := uint64(native.Uint32(page[12:]))
	if overflow == 0 {
		return page, nil
	}
	for i := range overflow {
		if err := v.visit(id + 1 + i); err != nil {
			return nil, err
		}
	}
	page = make([]byte, v.pageSize*int64(1+overflow))
	if _, err := v.file.ReadAt(page, int64(id)*v.pageSize); err != nil {
		return nil, truncated(err)
	}
	return page, nil
}

// visit notes that page id belongs to the tree.
func (v *verifier) visit(id uint64) error {
	if id < 2 || id >= v.pages {
		return damaged("page %d is not among %d", id, v.pages)
	}
	if v.seen[id] {
		return damaged("page %d is in two places", id)
	}
	v.seen[id] = true
	return nil
}

// elements checks what a page holds, and what is below it. name is that of the page.
func (v *verifier) elements(page []byte, name string, low, high []byte) error {
	if len(page) < headerSize {
		return damaged("%s has %d bytes", name, len(page))
	}
	flags, count := native.Uint16(page[8:]), int(native.Uint16(page[10:]))
	branch := flags == branchPage
	if !branch && flags != leafPage || branch && count == 0 {
		return damaged("%s has the flags %#x and %d elements", name, flags, count)
	}
	if headerSize+count*elementSize > len(page) {
		return damaged("%s has %d elements in %d bytes", name, count, len(page))
	}
	e, err := readElement(page, 0, branch)
	for i := range count {
		if err != nil {
			return damaged("%s, element %d: %v", name, i, err)
		}
		if bytes.Compare(e.key, low) < 0 || i > 0 && bytes.Equal(e.key, low) || high != nil && bytes.Compare(e.key, high) >= 0 {
			return damaged("%s, element %d: its key is out of order", name, i)
		}
		var next element
		above := high
		if i+1 < count {
			next, err = readElement(page, i+1, branch)
			above = next.key
		}
		if err := v.below(e, branch, name, above); err != nil {
			return err
		}
		low, e = e.key, next
	}
	return nil
}

// below checks the page or the bucket that an element leads to, if any.
func (v *verifier) below(e element, branch bool, name string, above []byte) error {
	switch {
	case branch:
		return v.tree(e.page, e.key, above)
	case e.flags == 0:
		return nil
	case e.flags != bucketLeaf || len(e.value) < bucketSize:
		return damaged("%s: the bucket %q is not readable", name, e.key)
	}
	if root := native.Uint64(e.value); root != 0 {
		return v.tree(root, nil, nil)
	}
	return v.elements(e.value[bucketSize:], fmt.Sprintf("bucket %q", e.key), nil, nil)
}

// element is one of a branch or of a leaf.
type element struct {
	flags      uint32 // of a leaf
	key, value []byte // value: of a leaf
	page       uint64 // of a branch
}

func readElement(page []byte, index int, branch bool) (e element, err error) {
	at := headerSize + index*elementSize
	if at+elementSize > len(page) {
		return element{}, nil // there is none
	}
	raw := page[at:]
	var position, keySize, valueSize uint64
	if branch {
		position, keySize = uint64(native.Uint32(raw)), uint64(native.Uint32(raw[4:]))
		e.page = native.Uint64(raw[8:])
	} else {
		e.flags = native.Uint32(raw)
		position, keySize = uint64(native.Uint32(raw[4:])), uint64(native.Uint32(raw[8:]))
		valueSize = uint64(native.Uint32(raw[12:]))
	}
	if keySize == 0 || position+keySize+valueSize > uint64(len(raw)) {
		return element{}, fmt.Errorf("%d+%d bytes at %d do not fit", keySize, valueSize, position)
	}
	raw = raw[position:]
	e.key, e.value = raw[:keySize:keySize], raw[keySize:keySize+valueSize]
	return e, nil
}
