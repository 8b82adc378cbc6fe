package peer

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// script writes an executable shell script.
func script(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	return path
}

func TestFindRejectsNames(t *testing.T) {
	tests := []struct {
		names []string
		want  string
	}{
		{[]string{"mosquito"}, `peer: unknown broker "mosquito": known are mqttd, mqttd:N (N loops), mqttd-interval, mqttd-always, mosquitto, mosquitto-nodelay, mosquitto-persistent, mochi, nats-server, floor and NAME=COMMAND LINE with {port} in it`},
		{[]string{""}, `peer: unknown broker ""`},
		{[]string{"mqttd", "floor", "mqttd"}, `peer: "mqttd" is named twice`},
		{[]string{"emqx", "x=a {port}"}, `peer: unknown broker "emqx"`},
		{[]string{"x=a {port}", "x=b {port}"}, `peer: "x" is named twice`},
		{[]string{"mqttd:"}, `peer: "mqttd:": loops must be a number, at least 1`},
		{[]string{"mqttd:0"}, `peer: "mqttd:0": loops must be a number, at least 1`},
		{[]string{"mqttd:two"}, `loops must be a number`},
		{[]string{"floor=prog {port}"}, "peer: floor is a broker that is known"},
		{[]string{"x="}, "peer: command line of x is empty"},
		{[]string{"x=prog -p 1883"}, "peer: command line of x lacks {port}, the port to listen on"},
		{[]string{"x={port}"}, "peer: command line of x lacks {port}"},
		{[]string{"x=prog 'a {port}"}, "peer: command line of x: a quote is not closed"},
		{[]string{"=prog {port}"}, `peer: the name "" of a command line may hold`},
		{[]string{"a|b=prog {port}"}, `peer: the name "a|b" of a command line may hold`},
	}
	for _, test := range tests {
		found, missing, err := Find(t.Context(), test.names, Options{})
		assert.ErrorContains(t, err, test.want)
		assert.Empty(t, found)
		assert.Empty(t, missing)
	}
}

func TestFindNothingInstalled(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	found, missing, err := Find(t.Context(), []string{"mqttd:2", "mqttd", "mochi", "floor", "nats-server", "x=prog -p {port}"},
		Options{Dir: dir, Cache: filepath.Join(dir, "cache")})
	require.NoError(t, err)
	assert.Empty(t, found)
	assert.Equal(t, []Missing{
		{"mqttd:2", "no program mqttd in " + dir + ", and none in PATH: make build"},
		{"mqttd", "no program mqttd in " + dir + ", and none in PATH: make build"},
		{"mochi", "it is built here, and there is no program go in PATH: install Go"},
		{"floor", "no program floor in " + dir + ": make build"},
		{"nats-server", "it is built here, and there is no program go in PATH: install Go"},
		{"x", "no program prog: install it, or write its path"},
	}, missing)
}

func TestFindWithoutAHome(t *testing.T) {
	t.Setenv("HOME", "")
	t.Setenv("XDG_CACHE_HOME", "")
	_, missing, err := Find(t.Context(), []string{"mochi"}, Options{})
	require.NoError(t, err)
	require.Len(t, missing, 1)
	assert.Contains(t, missing[0].Why, "there is no folder to build it in: ")
}

func TestFindMqttd(t *testing.T) {
	dir, inPath := t.TempDir(), t.TempDir()
	t.Setenv("PATH", inPath)
	script(t, inPath, "mqttd", "echo mqttd v1 go1.26.0 linux/amd64")
	find := func(o Options, names ...string) []Peer {
		found, missing, err := Find(t.Context(), names, o)
		require.NoError(t, err)
		require.Empty(t, missing)
		return found
	}
	found := find(Options{Dir: dir}, "mqttd", "mqttd:1", "mqttd:2")
	common := []string{filepath.Join(inPath, "mqttd"), "-host", "127.0.0.1", "-port", "{port}", "-max-clients", "61000", "-connect-rate", "0", "-log-level", "error"}
	assert.Equal(t, common, found[0].Command)
	assert.Equal(t, append(slices.Clone(common), "-loops", "1"), found[1].Command)
	assert.Equal(t, append(slices.Clone(common), "-loops", "2"), found[2].Command)
	for i, title := range []string{"mqttd", "mqttd, 1 loop", "mqttd, 2 loops"} {
		assert.Equal(t, title, found[i].Title)
		assert.Equal(t, "v1", found[i].Version)
	}
	assert.Equal(t, "mqttd:2", found[2].Name)
	assert.Equal(t, "mqttd, 3 loops", find(Options{Dir: dir, Loops: 3}, "mqttd")[0].Title)
	for _, p := range found {
		assert.Empty(t, p.Unable, "it has QoS 1 and 2, and wildcards")
	}

	found = find(Options{Dir: dir, Loops: 2}, "mqttd-interval", "mqttd-always")
	for i, sync := range []string{"interval", "always"} {
		assert.Equal(t, append(slices.Clone(common), "-loops", "2", "-data-dir", "{dir}", "-sync", sync), found[i].Command)
		assert.Equal(t, "mqttd, 2 loops, -sync "+sync, found[i].Title)
		assert.Equal(t, "mqttd-"+sync, found[i].Name)
	}

	script(t, dir, "mqttd", "echo mqttd v2 go1.26.0 linux/amd64")
	assert.Equal(t, "v2", find(Options{Dir: dir}, "mqttd")[0].Version, "the folder goes first")
}

func TestFindMosquittoThatKeepsSessions(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	script(t, dir, "mosquitto", "echo mosquitto version 2.0.11")
	found, missing, err := Find(t.Context(), []string{"mosquitto", "mosquitto-persistent"}, Options{})
	require.NoError(t, err)
	require.Empty(t, missing)
	assert.Contains(t, found[0].Config, "\npersistence false\n")
	assert.NotContains(t, found[1].Config, "persistence false")
	assert.Contains(t, found[1].Config, "\npersistence true\npersistence_location {dir}/\nautosave_interval 1\n")
	for _, p := range found {
		assert.Contains(t, p.Config, "\nmax_queued_messages 0\nmax_inflight_messages 0\n")
	}
}

func TestFindFloor(t *testing.T) {
	dir := t.TempDir()
	path := script(t, dir, "floor", "echo flag provided but not defined: -version >&2; exit 2")
	found, missing, err := Find(t.Context(), []string{"floor"}, Options{Dir: dir})
	require.NoError(t, err)
	require.Empty(t, missing)
	assert.Equal(t, []string{path, "-port", "{port}"}, found[0].Command)
	assert.Empty(t, found[0].Version)
	assert.Contains(t, found[0].Unable, FeatureQoS)
	assert.Contains(t, found[0].Unable, FeatureWildcards)
}

func TestFindACommandLine(t *testing.T) {
	dir := t.TempDir()
	path := script(t, dir, "my broker", "")
	found, missing, err := Find(t.Context(), []string{"mine='" + path + `' -p {port} -d "{dir}/my data"`}, Options{})
	require.NoError(t, err)
	require.Empty(t, missing)
	assert.Equal(t, "mine", found[0].Name)
	assert.Equal(t, "mine", found[0].Title)
	assert.Equal(t, []string{path, "-p", "{port}", "-d", "{dir}/my data"}, found[0].Command)
}

func TestFindEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := finder{Options: Options{Cache: t.TempDir()}, run: func(*exec.Cmd) ([]byte, error) {
		cancel()
		return nil, errors.New("killed")
	}}
	_, missing, err := f.find(ctx, []string{"mochi"})
	assert.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, missing)
}

func TestEveryPeerSaysWhyItsSettingsAreTheBest(t *testing.T) {
	var log bytes.Buffer
	f := finder{Options: Options{Dir: t.TempDir(), Cache: t.TempDir(), Log: &log}, run: fakeInstall}
	script(t, f.Dir, "mqttd", "")
	script(t, f.Dir, "floor", "")
	var names []string
	for _, r := range known {
		names = append(names, r.name)
		assert.Contains(t, usage, r.name)
	}
	found, missing, err := f.find(t.Context(), names)
	require.NoError(t, err)
	require.Empty(t, missing)
	for _, p := range found {
		assert.NotEmpty(t, p.Title)
		assert.NotEmpty(t, p.Settings)
		assert.True(t, filepath.IsAbs(p.Command[0]), p.Command[0])
		assert.Contains(t, p.Config+strings.Join(p.Command, " "), placeholderPort, p.Name)
	}
}
