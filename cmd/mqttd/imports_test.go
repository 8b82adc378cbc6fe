package main_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// floors says what each top-level folder may import: folders of the module, and modules of
// others beyond the standard library. A name ends in "/..." when all below it is meant. Tests may
// use more of others, but no more of the module.
var floors = map[string]struct{ own, others []string }{
	"codec":   {},
	"session": {own: []string{"codec"}, others: []string{"go.etcd.io/bbolt/..."}},
	"router":  {own: []string{"codec"}},
	"reactor": {
		own: []string{"session", "router", "codec"},
		others: []string{"github.com/panjf2000/gnet/v2", "github.com/rs/zerolog", "golang.org/x/sys/unix",
			"github.com/prometheus/client_golang/..."},
	},
	"bench": {
		own: []string{"codec"},
		others: []string{"github.com/HdrHistogram/hdrhistogram-go", "github.com/prometheus/procfs", "golang.org/x/sys/unix",
			"github.com/mattn/go-isatty", "gonum.org/v1/plot/..."},
	},
	"cmd/mqttd": {
		own:    []string{"reactor"},
		others: []string{"github.com/mattn/go-isatty", "github.com/rs/zerolog", "go.yaml.in/yaml/v3"},
	},
	"cmd/mqttbench": {own: []string{"bench"}, others: []string{"github.com/mattn/go-isatty"}},
}

// engines are modules of others that do a part of the work: one package of the broker alone may know each, so
// that it can be replaced there.
var engines = map[string]string{
	"github.com/panjf2000/gnet/v2/...":        "reactor",
	"github.com/prometheus/client_golang/...": "reactor/admin",
	"go.etcd.io/bbolt/...":                    "session/store",
	"go.yaml.in/yaml/v3":                      "cmd/mqttd",
}

// TestImportsPointDown parses every Go file of the module.
func TestImportsPointDown(t *testing.T) {
	const root = "../.."
	seen := map[string]bool{}
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && d.Name() == "node_modules" {
				return filepath.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		file, err := filepath.Rel(root, path)
		require.NoError(t, err)
		floor := floorOf(filepath.ToSlash(filepath.Dir(file)))
		seen[floor] = true
		rules, known := floors[floor]
		require.True(t, known, "%s: the top level never gains another code folder", file)
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			if own, ok := strings.CutPrefix(imported, "mqttd/"); ok {
				require.True(t, floorOf(own) == floor || contains(rules.own, floorOf(own)),
					"%s imports %s: imports point down, never up or sideways", file, imported)
				continue
			}
			foreign := strings.Contains(strings.SplitN(imported, "/", 2)[0], ".")
			if foreign && !strings.HasSuffix(file, "_test.go") && !isTestLibrary(file) {
				require.True(t, contains(rules.others, imported), "%s imports %s: not on its floor's list", file, imported)
				for engine, user := range engines {
					require.True(t, !contains([]string{engine}, imported) || filepath.ToSlash(filepath.Dir(file)) == user,
						"%s imports %s: only %s may", file, imported, user)
				}
			}
		}
		return nil
	}))
	require.Len(t, seen, len(floors), "every floor was looked at")
}

// isTestLibrary reports whether the file belongs to a package that only tests import.
func isTestLibrary(file string) bool {
	return strings.HasPrefix(filepath.ToSlash(file), "reactor/conformance/")
}

// floorOf returns the floor of a folder: its first element, or the first two below cmd.
func floorOf(folder string) string {
	elements := strings.Split(folder, "/")
	if elements[0] == "cmd" && len(elements) > 1 {
		return "cmd/" + elements[1]
	}
	return elements[0]
}

func contains(list []string, name string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		above, all := strings.CutSuffix(entry, "/...")
		return entry == name || all && (above == name || strings.HasPrefix(name, above+"/"))
	})
}
