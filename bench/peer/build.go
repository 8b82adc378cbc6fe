package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// recipe says how a peer is built: go install pkg@version.
type recipe struct {
	program string // its name here
	pkg     string // its main package
	version string
}

// Recipes of the peers that are built here. A new version is measured before it is entered.
var (
	mochiRecipe = recipe{"mochi", "github.com/mochi-mqtt/server/v2/cmd/docker", "v2.7.9"}
	natsRecipe  = recipe{"nats-server", "github.com/nats-io/nats-server/v2", "v2.15.2"}
)

// buildEnv is added to the environment of a build: a user's flags, such as -race, would slow the
// peer down; the toolchain is the one that built mqttd; no C compiler is needed.
var buildEnv = []string{"GOFLAGS=-mod=mod", "GOTOOLCHAIN=local", "GOWORK=off", "CGO_ENABLED=0", "GOOS=", "GOARCH="}

// build returns the path of a recipe's program in the cache, and builds it when it is not there.
// The program appears there complete or not at all, also when two harnesses build it at a time.
func (f *finder) build(ctx context.Context, r recipe) (path string, err error) {
	cache, err := f.cache()
	if err != nil {
		return "", fmt.Errorf("there is no folder to build it in: %w", err)
	}
	path = filepath.Join(cache, r.program+"-"+r.version, r.program)
	if _, err := exec.LookPath(path); err == nil {
		return path, nil
	}
	tool, err := program("go")
	if err != nil {
		return "", errors.New("it is built here, and there is no program go in PATH: install Go")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("cannot build it: %w", err)
	}
	temporary, err := os.MkdirTemp(cache, "build-*")
	if err != nil {
		return "", fmt.Errorf("cannot build it: %w", err)
	}
	defer func() { _ = os.RemoveAll(temporary) }()
	f.say("building %s %s, which may take minutes ...", r.program, r.version)
	built, err := f.install(ctx, tool, r, temporary)
	if err != nil {
		return "", err
	}
	return path, os.Rename(built, path)
}

// install builds a recipe's program into a folder that is empty, and returns the program's path.
func (f *finder) install(ctx context.Context, tool string, r recipe, dir string) (path string, err error) {
	cmd := exec.CommandContext(ctx, tool, "install", r.pkg+"@"+r.version)
	cmd.Dir = dir // outside of any module
	cmd.Env = append(append(os.Environ(), buildEnv...), "GOBIN="+dir, "PWD="+dir)
	cmd.WaitDelay = time.Second
	if output, err := f.run(cmd); err != nil {
		return "", fmt.Errorf("go install %s@%s failed: %w: %s", r.pkg, r.version, err, lastLines(string(output), lastLinesMax))
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("cannot build it: %w", err)
	}
	if len(entries) != 1 {
		return "", fmt.Errorf("go install %s@%s left %d programs, not one", r.pkg, r.version, len(entries))
	}
	return filepath.Join(dir, entries[0].Name()), nil
}

// cache returns the folder that peers are built in, as an absolute path.
func (f *finder) cache() (string, error) {
	if f.Cache != "" {
		return filepath.Abs(f.Cache)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "mqttbench"), nil
}

func (f *finder) say(format string, args ...any) {
	if f.Log != nil {
		_, _ = fmt.Fprintf(f.Log, format+"\n", args...)
	}
}
