package reactor

// backlog is what waits for one reader.
type backlog struct {
	messages uint64
	bytes    int
}
