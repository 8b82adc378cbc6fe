package codec

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNames(t *testing.T) {
	assert.Equal(t, "CONNECT", CONNECT.String())
	assert.Equal(t, "DISCONNECT", DISCONNECT.String())
	assert.Equal(t, "RESERVED(0)", PacketType(0).String())
	assert.Equal(t, "RESERVED(15)", PacketType(15).String())
	assert.Equal(t, "PacketType(16)", PacketType(16).String())
	assert.Equal(t, "3.1", Version31.String())
	assert.Equal(t, "3.1.1", Version311.String())
	assert.Equal(t, "Version(0)", Version(0).String())
	assert.Equal(t, "Version(132)", Version(0x84).String())
	assert.Equal(t, "accepted", Accepted.String())
	assert.Equal(t, "not authorized", NotAuthorized.String())
	assert.Equal(t, "ConnackCode(6)", ConnackCode(6).String())
}
