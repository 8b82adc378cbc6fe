package main_test

import "time"

// crashLink is a connection to one life of the broker.
type crashLink struct {
	*peer
	life int
}

// connect returns a connection with its session, which must be present if it is known, or nil when the test is over.
func (c *crash) connect(clientID string, known bool) *crashLink {
	for ; ; time.Sleep(2 * time.Millisecond) {
		if c.isEnding() {
			return nil
		}
		p, life := c.dial()
		if p == nil {
			continue
		}
		got, err := c.enter(p, connectPersistent(clientID), clientID)
		if err != nil {
			p.Close()
			continue
		}
		if code := got[1]; code != 0 {
			c.ledger.fault("%s: CONNACK %#x in life %d", clientID, code, life)
		}
		if present := got[0] == 1; known != present {
			c.ledger.fault("%s: Session Present is %v in life %d", clientID, present, life)
		}
		return &crashLink{p, life}
	}
}

// dial connects to the broker. The life is that of the process that answers: none ended meanwhile.
func (c *crash) dial() (p *peer, life int) {
	life = c.lives.current()
	p, err := dialPeer(&broker{host: c.broker.host, port: c.broker.port}, 0)
	if err != nil {
		return nil, 0
	}
	if c.lives.current() != life {
		p.Close()
		return nil, 0
	}
	return p, life
}

// enter sends a CONNECT and returns what the CONNACK says.
func (c *crash) enter(p *peer, connect []byte, clientID string) (connack []byte, err error) {
	if err := p.send(connect); err != nil {
		return nil, err
	}
	_ = p.SetReadDeadline(time.Now().Add(patience)) // fails when closed, as does reading
	got, err := p.next()
	if err != nil {
		if isTimeout(err) {
			c.ledger.fault("%s: no CONNACK within %v", clientID, patience)
		}
		return nil, err
	}
	if got.first != byteConnack || len(got.body) != 2 {
		c.ledger.fault("%s: %#x with %d bytes instead of CONNACK", clientID, got.first, len(got.body))
		return nil, errUnexpected(got.first)
	}
	_ = p.SetReadDeadline(time.Time{})
	return got.body, nil
}

// abandon keeps a connection open that is no longer used, until the life has ended.
func (c *crash) abandon(link *crashLink) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abandoned = append(c.abandoned, link)
}

func (c *crash) closeAbandoned() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, link := range c.abandoned {
		link.Close()
	}
	c.abandoned = nil
}
