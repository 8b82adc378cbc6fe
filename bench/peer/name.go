package peer

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// request is a name that was understood, and how to find its peer. find returns an error when the
// peer is missing: a text for people, with the remedy.
type request struct {
	name string
	find func(ctx context.Context, f *finder) (Peer, error)
}

// known are the names with settings of their own.
var known = []request{
	{"mqttd", func(ctx context.Context, f *finder) (Peer, error) { return f.mqttd(ctx, f.Loops) }},
	{"mqttd-interval", func(ctx context.Context, f *finder) (Peer, error) {
		return f.mqttdOnDisk(ctx, "interval", "they reach the disk each second, so up to a second is lost when it dies.")
	}},
	{"mqttd-always", func(ctx context.Context, f *finder) (Peer, error) {
		return f.mqttdOnDisk(ctx, "always", "no acknowledgement leaves before what it stands for is on the disk.")
	}},
	{"mosquitto", func(ctx context.Context, f *finder) (Peer, error) { return f.mosquitto(ctx) }},
	{"mosquitto-nodelay", func(ctx context.Context, f *finder) (Peer, error) { return f.mosquittoNoDelay(ctx) }},
	{"mosquitto-persistent", func(ctx context.Context, f *finder) (Peer, error) { return f.mosquittoPersistent(ctx) }},
	{"mochi", func(ctx context.Context, f *finder) (Peer, error) { return f.mochi(ctx) }},
	{"nats-server", func(ctx context.Context, f *finder) (Peer, error) { return f.nats(ctx) }},
	{"floor", func(ctx context.Context, f *finder) (Peer, error) { return f.floor(ctx) }},
}

// usage names what parseName understands.
const usage = "known are mqttd, mqttd:N (N loops), mqttd-interval, mqttd-always, mosquitto, mosquitto-nodelay, mosquitto-persistent, mochi, nats-server, floor and " +
	"NAME=COMMAND LINE with {port} in it"

func parseNames(names []string) ([]request, error) {
	var requests []request
	for _, text := range names {
		r, err := parseName(text)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(requests, func(other request) bool { return other.name == r.name }) {
			return nil, fmt.Errorf("peer: %q is named twice", r.name)
		}
		requests = append(requests, r)
	}
	return requests, nil
}

func parseName(text string) (request, error) {
	if name, line, custom := strings.Cut(text, "="); custom {
		return parseCustom(name, line)
	}
	if loops, ok := strings.CutPrefix(text, "mqttd:"); ok {
		return parseLoops(text, loops)
	}
	i := slices.IndexFunc(known, func(r request) bool { return r.name == text })
	if i < 0 {
		return request{}, fmt.Errorf("peer: unknown broker %q: %s", text, usage)
	}
	return known[i], nil
}

func parseLoops(name, text string) (request, error) {
	loops, err := strconv.Atoi(text)
	if err != nil || loops < 1 {
		return request{}, fmt.Errorf("peer: %q: loops must be a number, at least 1", name)
	}
	return request{name, func(ctx context.Context, f *finder) (Peer, error) { return f.mqttd(ctx, loops) }}, nil
}

// customName keeps names fit for tables and file names.
var customName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

func parseCustom(name, line string) (request, error) {
	if !customName.MatchString(name) {
		return request{}, fmt.Errorf("peer: the name %q of a command line may hold letters, digits, '.', '_' and '-' only", name)
	}
	if slices.ContainsFunc(known, func(r request) bool { return r.name == name }) {
		return request{}, fmt.Errorf("peer: %s is a broker that is known: give the command line another name", name)
	}
	words, err := splitWords(line)
	switch {
	case err != nil:
		return request{}, fmt.Errorf("peer: command line of %s: %w", name, err)
	case len(words) == 0:
		return request{}, fmt.Errorf("peer: command line of %s is empty", name)
	case !strings.Contains(strings.Join(words[1:], " "), placeholderPort):
		return request{}, fmt.Errorf("peer: command line of %s lacks %s, the port to listen on", name, placeholderPort)
	}
	return request{name, func(context.Context, *finder) (Peer, error) { return custom(name, words) }}, nil
}
