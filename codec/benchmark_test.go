package codec

import (
	"bytes"
	"testing"
)

// A chunk as large as a read, full of small packets: the case the decoder is built for.
func BenchmarkNext(b *testing.B) {
	for _, bench := range []struct {
		name    string
		payload int
	}{
		{"64 B payload", 64}, // Remaining Length of one byte
		{"1 KiB payload", 1024},
	} {
		b.Run(bench.name, func(b *testing.B) {
			frame := AppendPublish(nil, &Publish{Topic: []byte("bench/topic"), Payload: make([]byte, bench.payload)})
			chunk := bytes.Repeat(frame, 64<<10/len(frame))
			var d Decoder
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			for b.Loop() {
				f, ok, _ := d.Next(1 << 20)
				if !ok {
					d.Feed(chunk)
				}
				benchBytes = f.Body
			}
		})
	}
}

// A publisher at full speed: reads of 64 KiB, each of which ends inside a frame.
func BenchmarkNextStraddling(b *testing.B) {
	const readBytes = 64 << 10
	frame := AppendPublish(nil, &Publish{Topic: []byte("bench/topic"), Payload: make([]byte, 1024)})
	stream := bytes.Repeat(frame, readBytes) // its length is a multiple of the read size, and of the frame's
	var d Decoder
	at := 0
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		f, ok, _ := d.Next(1 << 20)
		for !ok {
			d.Feed(stream[at : at+readBytes])
			at = (at + readBytes) % len(stream)
			f, ok, _ = d.Next(1 << 20)
		}
		benchBytes = f.Body
	}
}

func BenchmarkParsePublish(b *testing.B) {
	for _, bench := range []struct {
		name    string
		publish Publish
	}{
		{"QoS 0", Publish{Topic: []byte("bench/topic"), Payload: make([]byte, 64)}},
		{"QoS 1", Publish{Topic: []byte("bench/topic"), Payload: make([]byte, 64), QoS: QoS1, PacketID: 7}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			f := frameIn(b, AppendPublish(nil, &bench.publish))
			b.ReportAllocs()
			for b.Loop() {
				p, _ := ParsePublish(f, Version311)
				benchBytes = p.Topic
			}
		})
	}
}

func BenchmarkAppendPublish(b *testing.B) {
	p := Publish{Topic: []byte("bench/topic"), Payload: make([]byte, 64), QoS: QoS1, PacketID: 7}
	b.ReportAllocs()
	for b.Loop() {
		benchBytes = AppendPublish(benchBytes[:0], &p)
	}
}

func BenchmarkCheckTopicName(b *testing.B) {
	for _, bench := range []struct{ name, topic string }{
		{"11 bytes", "bench/topic"},
		{"48 bytes", "plant/berlin/hall-07/line-12/robot-3/temperature"},
		{"28 bytes, not ASCII", "werk/m\u00fcnchen/halle/\u00f6lstand/1"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			topic := []byte(bench.topic)
			b.ReportAllocs()
			for b.Loop() {
				benchError = CheckTopicName(topic)
			}
		})
	}
}

func BenchmarkParseSubscribe(b *testing.B) {
	f := frameIn(b, AppendSubscribe(nil, 1, []Subscription{{"bench/+/topic", QoS0}, {"bench/#", QoS1}}))
	b.ReportAllocs()
	for b.Loop() {
		s, _ := ParseSubscribe(f, Version311)
		for filter, _, ok := s.Next(); ok; filter, _, ok = s.Next() {
			benchBytes = filter
		}
	}
}

// Where results go, so that the compiler cannot leave the work out.
var (
	benchBytes []byte
	benchError error
)
