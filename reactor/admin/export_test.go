package admin

import "time"

// SetReadTimeout is for tests; call it before Serve.
func (a *Admin) SetReadTimeout(timeout time.Duration) { a.server.ReadTimeout = timeout }

// ConnectionsMax is for tests.
const ConnectionsMax = connectionsMax
