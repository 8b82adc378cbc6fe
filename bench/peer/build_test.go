package peer

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// environment returns a variable of a command, as the last of its settings has it.
func environment(cmd *exec.Cmd, name string) string {
	value := ""
	for _, setting := range cmd.Env {
		if v, ok := strings.CutPrefix(setting, name+"="); ok {
			value = v
		}
	}
	return value
}

// fakeInstall does what go install does, and no other command.
func fakeInstall(cmd *exec.Cmd) ([]byte, error) {
	if cmd.Args[1] != "install" {
		return nil, nil
	}
	return nil, os.WriteFile(filepath.Join(environment(cmd, "GOBIN"), "docker"), []byte("built"), 0o755)
}

func TestBuildOnceThenReuse(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	t.Setenv("GOFLAGS", "-race")
	goTool := script(t, bin, "go", "")
	var commands []*exec.Cmd
	var log bytes.Buffer
	f := finder{Options: Options{Cache: t.TempDir(), Log: &log}, run: func(cmd *exec.Cmd) ([]byte, error) {
		commands = append(commands, cmd)
		return fakeInstall(cmd)
	}}
	for range 2 {
		path, err := f.build(t.Context(), mochiRecipe)
		require.NoError(t, err)
		assert.Equal(t, filepath.Join(f.Cache, "mochi-v2.7.9", "mochi"), path)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, "built", string(text))
	}
	require.Len(t, commands, 1)
	cmd := commands[0]
	assert.Equal(t, []string{goTool, "install", "github.com/mochi-mqtt/server/v2/cmd/docker@v2.7.9"}, cmd.Args)
	assert.Equal(t, environment(cmd, "GOBIN"), cmd.Dir)
	assert.Equal(t, f.Cache, filepath.Dir(cmd.Dir), "on the same file system, so that it can be renamed")
	for name, want := range map[string]string{"GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0"} {
		assert.Equal(t, want, environment(cmd, name), name)
	}
	assert.Equal(t, "building mochi v2.7.9, which may take minutes ...\n", log.String())
	assert.Equal(t, []string{"mochi-v2.7.9"}, entries(t, f.Cache))
}

func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range list {
		names = append(names, entry.Name())
	}
	return names
}

func TestRecipes(t *testing.T) {
	assert.Equal(t, recipe{"mochi", "github.com/mochi-mqtt/server/v2/cmd/docker", "v2.7.9"}, mochiRecipe)
	assert.Equal(t, recipe{"nats-server", "github.com/nats-io/nats-server/v2", "v2.15.2"}, natsRecipe)
}

func TestBuildThatFailsIsMissing(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	script(t, bin, "go", "")
	f := finder{Options: Options{Cache: t.TempDir()}, run: func(*exec.Cmd) ([]byte, error) {
		return []byte("go: downloading ...\n\ngo: dial tcp: lookup proxy.golang.org: no such host\n"), errors.New("exit status 1")
	}}
	found, missing, err := f.find(t.Context(), []string{"nats-server"})
	require.NoError(t, err)
	assert.Empty(t, found)
	assert.Equal(t, []Missing{{"nats-server", "go install github.com/nats-io/nats-server/v2@v2.15.2 failed: exit status 1: " +
		"go: downloading ... | go: dial tcp: lookup proxy.golang.org: no such host"}}, missing)
	assert.Empty(t, entries(t, filepath.Join(f.Cache, "nats-server-v2.15.2")))
	assert.Equal(t, []string{"nats-server-v2.15.2"}, entries(t, f.Cache))
}

func TestBuildThatLeavesNothing(t *testing.T) {
	f := finder{Options: Options{Cache: t.TempDir()}, run: func(*exec.Cmd) ([]byte, error) { return nil, nil }}
	_, err := f.build(t.Context(), mochiRecipe)
	assert.ErrorContains(t, err, "left 0 programs, not one")
}
