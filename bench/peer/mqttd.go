package peer

import (
	"context"
	"fmt"
	"strconv"
)

// mqttd finds the broker of this module. 0 loops: as many as it takes by itself.
func (f *finder) mqttd(ctx context.Context, loops int) (Peer, error) {
	path, err := f.ownProgram("mqttd")
	if err != nil {
		inPath, errPath := program("mqttd")
		if errPath != nil {
			return Peer{}, fmt.Errorf("%w, and none in PATH: make build", err)
		}
		path = inPath
	}
	p := Peer{
		Title:   "mqttd",
		Version: f.version(ctx, "mqttd ", path, "-version"),
		Command: []string{path, "-host", "127.0.0.1", "-port", placeholderPort, "-max-clients", "61000", "-connect-rate", "0", "-log-level", "error"},
		Settings: "Its defaults, with room for 61,000 clients, no bound on their rate and only errors logged. At QoS 1 and 2 at most 20 messages " +
			"are in flight to a client and 1,000 wait behind them, in memory.",
	}
	if loops > 0 {
		p.Title = loopsTitle(loops)
		p.Command = append(p.Command, "-loops", strconv.Itoa(loops))
	}
	return p, nil
}

// mqttdOnDisk is mqttd that keeps sessions on disk; sync is its flag of that name.
func (f *finder) mqttdOnDisk(ctx context.Context, sync, meaning string) (Peer, error) {
	p, err := f.mqttd(ctx, f.Loops)
	p.Title += ", -sync " + sync
	p.Command = append(p.Command, "-data-dir", placeholderDir, "-sync", sync)
	p.Settings = "As mqttd, with sessions and retained messages kept in {dir}: " + meaning
	return p, err
}

func loopsTitle(loops int) string {
	if loops == 1 {
		return "mqttd, 1 loop"
	}
	return fmt.Sprintf("mqttd, %d loops", loops)
}
