package main_test

import (
	"os/exec"
	"path/filepath"
	"testing"
)

const (
	pahoPythonFolder = "testdata/pahopython"
	// python is the interpreter that Debian's packages are for; another one may come first in PATH.
	python = "/usr/bin/python3"
)

var pahoPython = client{
	name: "Paho Python",
	require: func(t *testing.T) {
		if err := exec.Command(python, "-c", "import paho.mqtt").Run(); err != nil {
			missing(t, "Paho Python is not installed: apt-get install python3-paho-mqtt")
		}
	},
	publish:   pahoPythonPublish,
	subscribe: pahoPythonSubscribe,
}

func pahoPythonPublish(on connection, messages ...message) error {
	return runProgram(toJSON(messages), python, filepath.Join(pahoPythonFolder, "publish.py"),
		toJSON(map[string]any{"connection": pahoPythonConnection(on)}))
}

func pahoPythonSubscribe(t *testing.T, on connection, qos byte, filters ...string) *subscription {
	t.Helper()
	return subscribeWithScript(t, []string{python, filepath.Join(pahoPythonFolder, "subscribe.py")}, toJSON(map[string]any{
		"connection": pahoPythonConnection(on), "filters": append([]string{}, filters...), "qos": qos,
	}))
}

func pahoPythonConnection(on connection) map[string]any {
	return map[string]any{
		"host": on.host, "port": on.port, "clientId": on.clientID, "version": on.version,
		"keepAliveSeconds": on.keepAliveSeconds, "persistent": on.persistent, "will": on.will,
	}
}
