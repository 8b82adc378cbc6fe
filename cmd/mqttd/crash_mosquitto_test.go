package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The crash tests' clients and rules, tried on another broker: one that saves its state when it is asked to end, and
// only then. Killed, it must be found to have lost what was acknowledged; otherwise it must not. (What Mosquitto
// 2.0.11 has got PUBREC for it sends as a PUBLISH again when it was restarted, so some messages come twice at QoS 2;
// and it does not keep the order when its window is full, so it is given none.)
func TestCrashMosquitto(t *testing.T) {
	requireProgram(t, "mosquitto", "mosquitto")
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			c := newCrash(t, mosquittoToCrash, time.Hour, crashRandomSeed())
			c.planted = true
			c.run(crashPlainPlans(4, signal))
			c.report(0)
			books := c.ledger.judge(&c.lives, 0)
			if signal == syscall.SIGKILL {
				assert.NotEmpty(t, books.lost.faults)
				assert.NotEmpty(t, books.retained.faults)
				return
			}
			assert.Empty(t, books.breaches)
			assert.Empty(t, books.lost.faults)
			assert.Empty(t, books.retained.faults)
		})
	}
}

func mosquittoToCrash(t *testing.T, folder, host, port, _ string) []string {
	file := filepath.Join(folder, "mosquitto.conf")
	text := fmt.Sprintf("listener %s %s\nallow_anonymous true\npersistence true\npersistence_location %s/\n"+
		"autosave_interval 0\nmax_queued_messages 0\nmax_inflight_messages 0\nlog_dest stderr\n", port, host, folder)
	if os.Geteuid() == 0 {
		text += "user root\n"
	}
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return []string{"mosquitto", "-c", file}
}
