package peer

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// versionTime is how long a program may take to say its version; chosen.
const versionTime = 5 * time.Second

// ownProgram returns the path of a program in Options.Dir.
func (f *finder) ownProgram(name string) (string, error) {
	dir := f.Dir
	if dir == "" {
		executable, err := os.Executable()
		if err != nil {
			return "", err
		}
		dir = filepath.Dir(executable)
	}
	path, err := program(filepath.Join(dir, name))
	if err != nil {
		return "", fmt.Errorf("no program %s in %s", name, dir)
	}
	return path, nil
}

// program returns the absolute path of a program: of a path, or of a name that is looked for in PATH.
func program(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

// version runs a program and returns the word after prefix in the first line it writes, whatever
// its exit status. Empty: it wrote something else.
func (f *finder) version(ctx context.Context, prefix, path string, args ...string) string {
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.WaitDelay = time.Second
	output, _ := f.run(cmd)
	line, _, _ := strings.Cut(string(output), "\n")
	rest, ok := strings.CutPrefix(line, prefix)
	words := strings.Fields(rest)
	if !ok || len(words) == 0 {
		return ""
	}
	return words[0]
}
