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
	assert.Equal(t, "codec: topic name longer than allowed", errTopicLong.Error())
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
