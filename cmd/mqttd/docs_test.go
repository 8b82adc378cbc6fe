package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"mqttd/reactor"
)

// What is written about the settings is made of their table: go test ./cmd/mqttd -run Docs -args -update-docs
var updateDocs = flag.Bool("update-docs", false, "write README's table, mqttd.yaml and mqttd.schema.json")

const (
	readmeFile  = "../../README.md"
	exampleFile = "../../mqttd.yaml"
	schemaFile  = "../../mqttd.schema.json"
)

// requireFile requires that a file is what it should be, or makes it so.
func requireFile(t *testing.T, path, want string) {
	t.Helper()
	if *updateDocs {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
	}
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, want, string(got), "go test ./cmd/mqttd -run Docs -args -update-docs writes it")
}

func TestDocsOfREADME(t *testing.T) {
	content, err := os.ReadFile(readmeFile)
	require.NoError(t, err)
	const begin, end = "| key in the file | flag | default | |\n|---|---|---|---|\n", "\nExit codes:"
	before, rest, found := strings.Cut(string(content), begin)
	require.True(t, found)
	_, after, found := strings.Cut(rest, end)
	require.True(t, found)
	var rows strings.Builder
	for _, s := range settings {
		mark := ""
		if s.live() {
			mark = " ↻"
		}
		fmt.Fprintf(&rows, "| `%s`%s | `-%s` | %s | %s |\n", s.key, mark, s.flag, defaultOf(s), plain(s.help))
	}
	requireFile(t, readmeFile, before+begin+rows.String()+end+after)
}

// The example has every setting at its default, and is a file that mqttd takes.
func TestDocsOfTheExample(t *testing.T) {
	var out strings.Builder
	out.WriteString(`# Every setting of mqttd at its default, so leave out what you do not change.
# mqttd -c mqttd.yaml -test-config looks for faults, and a HUP signal has a running mqttd read the file again;
# what is not marked "live" needs a restart. In the environment listeners.tcp.port is MQTTD_LISTENERS__TCP__PORT.
# yaml-language-server: $schema=mqttd.schema.json
`)
	var above []string
	defaults := defaultOptions()
	for _, s := range settings {
		path := strings.Split(s.key, ".")
		if !strings.HasPrefix(strings.Join(path[:len(path)-1], "."), strings.Join(above, ".")) || len(path) == 1 {
			above = nil
		}
		for _, group := range path[len(above) : len(path)-1] {
			fmt.Fprintf(&out, "\n%s%s:", strings.Repeat("  ", len(above)), group)
			above = append(above, group)
		}
		indent, live := strings.Repeat("  ", len(above)), ""
		if s.live() {
			live = " (live)"
		}
		line := indent + path[len(above)] + ": " + scalar(s, &defaults)
		if s.flag == "loops" {
			line = indent + "# loops: 2"
		}
		note := plain(s.help)
		if s.unset != "" {
			note += "; default " + s.unset
		}
		fmt.Fprintf(&out, "\n%s# %s%s\n%s\n", indent, note, live, line)
	}
	requireFile(t, exampleFile, out.String())

	c, faults := (&command{file: exampleFile}).configure(nil)
	require.Empty(t, faults)
	assert.Equal(t, defaultOptions(), c.options)
	assert.Len(t, c.origins, len(settings)-1, "all but loops")
}

// What editors and continuous integration need to know of the file.
func TestDocsOfTheSchema(t *testing.T) {
	root := schemaGroup("Configuration of mqttd")
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	defaults := defaultOptions()
	for _, s := range settings {
		group := root
		path := strings.Split(s.key, ".")
		for _, name := range path[:len(path)-1] {
			inside := group["properties"].(map[string]any)
			if inside[name] == nil {
				inside[name] = schemaGroup("")
			}
			group = inside[name].(map[string]any)
		}
		group["properties"].(map[string]any)[path[len(path)-1]] = schemaValue(s, &defaults)
	}
	text, err := json.MarshalIndent(root, "", "  ")
	require.NoError(t, err)
	requireFile(t, schemaFile, string(text)+"\n")
}

func schemaGroup(description string) map[string]any {
	group := map[string]any{"type": "object", "additionalProperties": false, "properties": map[string]any{}}
	if description != "" {
		group["description"] = description
	}
	return group
}

func schemaValue(s *setting, defaults *options) map[string]any {
	schema := map[string]any{"description": plain(s.help), "default": s.value(defaults).String()}
	switch v := s.value(defaults).(type) {
	case number:
		schema["type"], schema["default"] = "integer", *v.n
		bound(schema, s)
	case size:
		schema["type"], schema["pattern"] = []string{"integer", "string"}, `^\d+(KiB|MiB|GiB)?$`
		bound(schema, s)
	case duration:
		schema["type"], schema["pattern"] = "string", `^([0-9.]+(ns|us|µs|ms|s|m|h))+$|^\d+[dw]$`
		if accepts(s, 0) { // that has no unit, and is an integer in the file
			schema["type"], schema["pattern"] = []string{"integer", "string"}, `^0$|`+schema["pattern"].(string)
			schema["minimum"], schema["maximum"] = 0, 0
		}
	case toggle:
		schema["type"], schema["default"] = "boolean", *v.on
	case policy:
		var names []string
		for p := reactor.DropNewest; p <= reactor.Disconnect; p++ {
			names = append(names, p.String())
		}
		schema["enum"] = names
	case level:
		schema["enum"] = []string{"trace", "debug", "info", "warn", "error"}
	case text:
		schema["type"] = "string"
		if accepted := map[string][]string{"sync": {"always", "interval"}, "log-format": {"auto", "console", "json"}}[s.flag]; accepted != nil {
			schema["enum"] = accepted
		}
	default:
		panic(fmt.Sprintf("%T has no schema", v))
	}
	if s.flag == "loops" { // it depends on the machine
		delete(schema, "default")
	}
	return schema
}

// bound gives a schema the bounds that validation has for integers. What wants "1024 at least, or 0" begins with 0.
func bound(schema map[string]any, s *setting) {
	wanted := regexp.MustCompile(`want (?:(\d+) to (\d+)|(\d+)(?: bytes)? at least(, or 0)?)`)
	m := wanted.FindStringSubmatch(faultOf(s, -1))
	least, _ := strconv.Atoi(m[1] + m[3])
	if m[4] != "" {
		least = 0
	}
	schema["minimum"] = least
	if most, err := strconv.Atoi(m[2]); err == nil {
		schema["maximum"] = most
	}
}

// accepts reports whether an integer is right for a setting.
func accepts(s *setting, n int) bool { return faultOf(s, n) == "" }

// faultOf returns what validation says of a setting that is an integer, nothing when it is right.
func faultOf(s *setting, n int) string {
	o := defaultOptions()
	o.config.DataDir = "kept"
	switch v := s.value(&o).(type) {
	case number:
		*v.n = n
	case size:
		*v.bytes = n
	case duration:
		*v.d = time.Duration(n)
	}
	if err := o.validate(); err != nil {
		return err.Error()
	}
	return ""
}

// What the schema says of integers is what mqttd says.
func TestDocsOfTheSchemaHaveTheBounds(t *testing.T) {
	defaults := defaultOptions()
	for _, s := range settings {
		schema := schemaValue(s, &defaults)
		if least, bounded := schema["minimum"].(int); bounded {
			assert.True(t, accepts(s, least), s.key)
			assert.False(t, accepts(s, least-1), s.key)
		}
		if most, bounded := schema["maximum"].(int); bounded {
			assert.True(t, accepts(s, most), s.key)
			assert.False(t, accepts(s, most+1), s.key)
		}
	}
}

func defaultOf(s *setting) string {
	if s.unset != "" {
		return s.unset
	}
	defaults := defaultOptions()
	return s.value(&defaults).String()
}

// plain returns a help text as prose.
func plain(help string) string {
	return strings.ReplaceAll(strings.ReplaceAll(help, "`", ""), "\n", " ")
}

// Every flag that the documents name exists.
func TestDocsNameFlagsThatExist(t *testing.T) {
	var help strings.Builder
	usage(&help)
	content, err := os.ReadFile(readmeFile)
	require.NoError(t, err)
	_, section, found := strings.Cut(string(content), "## Configuration")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	for _, m := range regexp.MustCompile("`-([a-z-]+)").FindAllStringSubmatch(section, -1) {
		assert.Regexp(t, `(?m)[ ,]-`+m[1]+`\b`, help.String())
	}
}
