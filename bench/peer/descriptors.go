package peer

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// raiseDescriptorLimit sets the soft limit to the hard one. The Go runtime does so for this process
// alone, and gives its children the old limit back unless the program sets one itself.
var raiseDescriptorLimit = sync.OnceValue(func() error {
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	if err == nil {
		limit.Cur = limit.Max
		err = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	}
	if err != nil {
		return fmt.Errorf("peer: descriptor limit: %w", err)
	}
	return nil
})
