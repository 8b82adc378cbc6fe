package main

import (
	"os"
	"strings"

	"github.com/rs/zerolog"

	"mqttd/reactor"
)

// reloader reads the configuration again while the broker runs. One goroutine uses it.
type reloader struct {
	command command
	inForce configuration
	server  *reactor.Server
	log     zerolog.Logger
}

// serve reloads for each signal.
func (r *reloader) serve(hangups <-chan os.Signal) {
	for range hangups {
		if r.command.file == "" {
			r.log.Info().Msg("SIGHUP: there is no configuration file to read again")
			continue
		}
		r.reload(os.Environ())
	}
}

// tellOverrides tells which values of the file and the environment have no effect: people look there first.
func tellOverrides(log zerolog.Logger, c *configuration) {
	for _, o := range c.overrides {
		log.Info().Str("setting", o.setting.key).Str("value", o.setting.value(&c.options).String()).
			Msgf("%v wins over %v", o.winner, o.beaten)
	}
}

// reload reads everything again and changes what can change while the broker runs. With any fault nothing changes.
func (r *reloader) reload(environment []string) {
	asked, faults := r.command.configure(environment)
	if len(faults) > 0 {
		for _, f := range bounded(faults) {
			r.log.Error().Str("fault", f.String()).Msg("configuration is wrong")
		}
		r.log.Error().Str("config", r.command.file).Int("faults", len(faults)).
			Msg("not reloaded: the configuration before stays in force")
		return
	}
	if _, err := r.server.Reconfigure(asked.config); err != nil {
		r.log.Error().Err(err).Msg("not reloaded: the configuration before stays in force")
		return
	}
	// What changes is told at the more verbose of the old and the new level.
	zerolog.SetGlobalLevel(min(r.inForce.logLevel, asked.logLevel))
	tellOverrides(r.log, &asked)
	changed, restart := zerolog.Dict(), []string{}
	for _, s := range settings {
		was, is := s.value(&r.inForce.options), s.value(&asked.options).String()
		switch {
		case was.String() == is:
		case s.live():
			changed = changed.Str(s.key, was.String()+" -> "+is)
			_ = was.Set(is) // it has come from a text
		default:
			restart = append(restart, s.key)
		}
	}
	event, note := r.log.Info(), ""
	if len(restart) > 0 {
		event, note = r.log.Warn().Strs("needs_restart", restart), "; needs a restart: "+strings.Join(restart, ", ")
	}
	event.Str("config", r.command.file).Dict("changed", changed).Msg("configuration read again" + note)
	zerolog.SetGlobalLevel(r.inForce.logLevel)
}
