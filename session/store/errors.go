package store

import (
	"errors"
	"fmt"
)

// What Open and Load may return, wrapped with the file, the cause and the remedy.
var (
	// ErrHeld: another process, or another Store of this one, has the directory.
	ErrHeld = errors.New("in use by another process")
	// ErrDamaged: the file is torn, truncated or overwritten.
	ErrDamaged = errors.New("damaged")
	// ErrFormat: a version with another format wrote the file.
	ErrFormat = errors.New("written by another version of mqttd")
)

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}
