package peer

import (
	"context"
	"io"
	"os/exec"
)

// Options says where to find things.
type Options struct {
	// Dir is the folder of mqttd and floor. Default: the folder of the running executable.
	Dir string
	// Loops is the number of loops of a "mqttd" without a number. 0: the broker's own default.
	Loops int
	// Cache is where peers are built. Default: mqttbench in os.UserCacheDir.
	Cache string
	// Log is told what takes long ("building mochi v2.7.9 ..."), a line each. Nil: nobody is.
	Log io.Writer
}

// Find resolves names to peers, in their order. Known names are mqttd, mqttd:N (N loops),
// mqttd-interval and mqttd-always (sessions on disk), mosquitto, mosquitto-nodelay, mosquitto-persistent, mochi,
// nats-server and floor; any other must be NAME=COMMAND LINE, with {port} in it and quotes as in a shell. mochi and nats-server are built when Options.Cache does not hold them.
//
// What is not installed or cannot be built comes back in missing. An error is only for a name that
// is wrong, which is found before anything is built, and for a context that ended.
func Find(ctx context.Context, names []string, o Options) (found []Peer, missing []Missing, err error) {
	return (&finder{Options: o, run: (*exec.Cmd).CombinedOutput}).find(ctx, names)
}

// finder looks for peers on this machine.
type finder struct {
	Options
	// run runs a command to its end and returns what it wrote, all of it.
	run func(*exec.Cmd) ([]byte, error)
}

func (f *finder) find(ctx context.Context, names []string) (found []Peer, missing []Missing, err error) {
	requests, err := parseNames(names)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range requests {
		p, err := r.find(ctx, f)
		switch {
		case ctx.Err() != nil:
			return nil, nil, ctx.Err()
		case err != nil:
			missing = append(missing, Missing{Name: r.name, Why: err.Error()})
		default:
			p.Name = r.name
			found = append(found, p)
		}
	}
	return found, missing, nil
}
