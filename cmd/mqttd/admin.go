package main

import (
	"errors"
	"syscall"

	"github.com/rs/zerolog"

	"mqttd/reactor"
	"mqttd/reactor/admin"
)

// openAdmin takes the port of the admin server, so that one which is taken is found before clients come. It
// returns nil when there is to be none.
func openAdmin(log zerolog.Logger, o options, server *reactor.Server) (console *admin.Admin, code int) {
	if o.admin.Address == "" {
		return nil, exitOK
	}
	o.admin.Log = log
	console, err := admin.New(server, o.admin)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		log.Error().Err(err).Msgf("admin address %s is in use, by another broker perhaps: stop that, "+
			"or choose another with -admin", o.admin.Address)
		return nil, exitTryAgain
	case err != nil:
		log.Error().Err(err).Msgf("cannot listen on admin address %s: choose another with -admin", o.admin.Address)
		return nil, exitFailed
	}
	return console, exitOK
}

// serveAdmin answers from now on.
func serveAdmin(log zerolog.Logger, console *admin.Admin) {
	if console == nil {
		return
	}
	if console.OnLoopback() {
		log.Info().Str("address", console.Addr()).Msg("admin listens, on the loopback only")
	} else {
		log.Warn().Str("address", console.Addr()).Msg("admin listens, without a login: whoever reaches it may read all")
	}
	go func() {
		if err := console.Serve(); err != nil {
			log.Error().Err(err).Msg("admin ended")
		}
	}()
}

// closeAdmin is called when the broker has ended.
func closeAdmin(console *admin.Admin) {
	if console != nil {
		_ = console.Close()
	}
}
