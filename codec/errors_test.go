package codec

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestErrorText(t *testing.T) {
	fault := judgeFirstByte(PUBLISH, 0x06)
	assert.Equal(t, "codec: PUBLISH: QoS is 3 [MQTT-3.3.1-4]", fault.Error())
	for _, test := range []struct {
		limit error
		want  string
	}{
		{nextFault("\x30\xFF\xFF\x7F", 1<<20), "PUBLISH: packet has more bytes than allowed: 2097155 of at most 1048576"},
		{TopicLimits{3, 9}.CheckName([]byte("a/bc")), "topic name has more bytes than allowed: 4 of at most 3"},
		{TopicLimits{9, 2}.CheckName([]byte("a//b")), "topic name has more levels than allowed: 3 of at most 2"},
		{TopicLimits{3, 9}.CheckFilter([]byte("a/+/")), "topic filter has more bytes than allowed: 4 of at most 3"},
		{TopicLimits{9, 2}.CheckFilter([]byte("a/+/#")), "topic filter has more levels than allowed: 3 of at most 2"},
	} {
		assert.EqualError(t, test.limit, "codec: "+test.want)
	}
}

// nextFault returns why a stream is refused.
func nextFault(stream string, maxBytes int) error {
	var d Decoder
	d.Feed([]byte(stream))
	_, _, err := d.Next(maxBytes)
	return err
}

func TestErrorKinds(t *testing.T) {
	kinds := []error{
		ErrMalformed, ErrProtocol, ErrUnsupportedVersion, ErrInvalidClientID, ErrInvalidFilter, ErrInvalidTopic,
		ErrTooLarge,
	}
	for i, kind := range kinds {
		fault := *kind.(*Error)
		fault.Type, fault.Text = SUBSCRIBE, "something"
		wrapped := fmt.Errorf("reading: %w", &fault)
		for j, other := range kinds {
			assert.Equal(t, i == j, errors.Is(wrapped, other), "%v is %v", wrapped, other)
		}
		assert.NotErrorIs(t, wrapped, io.EOF)
		assert.NotErrorIs(t, wrapped, ErrHeldFull)
	}
}

func TestErrorInAPacketIsACopy(t *testing.T) {
	found := errNotUTF8.in(CONNECT)
	assert.Equal(t, CONNECT, found.Type)
	assert.Zero(t, errNotUTF8.Type)
}
