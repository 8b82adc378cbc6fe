package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// fileBytesMax bounds a configuration file. (chosen: dozens of times one with every setting)
const fileBytesMax = 256 << 10

// readFile returns what a configuration file gives, and all that is wrong with it.
//
// The file is YAML of the simple kind: keys and values, in groups. What YAML offers beyond that, such as anchors,
// tags and several documents, is refused, for it is never needed here and often not meant.
func readFile(name string) ([]given, []fault) {
	f := file{name: name}
	if content, err := readBounded(name); err != nil {
		f.wrong(0, "%v", err)
	} else if root := f.parse(content); root != nil {
		f.mapping(root, "")
	}
	return f.list, f.faults
}

// readBounded reads a file whose size is bounded. An error does not name it. A pipe is refused, and not waited for: it
// could not be read again at a SIGHUP.
func readBounded(name string) ([]byte, error) {
	open, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, errors.Unwrap(err) // the path is said already
	}
	defer open.Close()
	info, err := open.Stat()
	switch {
	case err != nil:
		return nil, errors.Unwrap(err)
	case info.IsDir():
		return nil, errors.New("is a directory: want a file")
	case !info.Mode().IsRegular():
		return nil, errors.New("is a pipe or a device: want a regular file")
	}
	content, err := io.ReadAll(io.LimitReader(open, fileBytesMax+1))
	switch {
	case err != nil:
		return nil, errors.Unwrap(err)
	case len(content) > fileBytesMax:
		return nil, fmt.Errorf("is larger than %v: is it a configuration file?", size{ptr(fileBytesMax)})
	case len(content) == 0:
		return nil, errors.New("is empty: it was not written to the end perhaps")
	}
	return content, nil
}

func ptr[T any](v T) *T { return &v }

// file is a configuration file that is being read.
type file struct {
	name   string
	list   []given
	faults []fault
}

// wrong notes a fault in a line; 0: of the file as a whole.
func (f *file) wrong(line int, format string, args ...any) {
	f.faults = append(f.faults, fault{origin{fromFile, f.name, line}, fmt.Sprintf(format, args...)})
}

// parse returns the mapping that the file is. It is nil when there is none, which is wrong unless all is comments.
func (f *file) parse(content []byte) *yaml.Node {
	if f.unreadable(content) {
		return nil
	}
	var document, second yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		f.wrong(syntaxFault(err))
		return nil
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		f.wrong(second.Line, "another document begins: want one only")
		return nil
	case !errors.Is(err, io.EOF):
		f.wrong(syntaxFault(err))
		return nil
	}
	root := document.Content[0]
	switch {
	case root.Kind == yaml.ScalarNode && root.Tag == "!!null":
		return nil
	case root.Kind != yaml.MappingNode:
		f.wrong(root.Line, "want keys with values, as in %q, not %s", "loops: 2", kindOf(root))
		return nil
	}
	return root
}

// unreadable notes what the YAML library takes without a word, or refuses without saying where.
func (f *file) unreadable(content []byte) bool {
	before := len(f.faults)
	switch {
	case bytes.HasPrefix(content, []byte("\xef\xbb\xbf")):
		f.wrong(1, "begins with a byte order mark: save it as UTF-8 without one")
	case bytes.HasPrefix(content, []byte("\xff\xfe")), bytes.HasPrefix(content, []byte("\xfe\xff")):
		f.wrong(1, "is UTF-16: save it as UTF-8")
	default:
		for i, line := range bytes.Split(content, []byte("\n")) {
			indentation := line[:len(line)-len(bytes.TrimLeft(line, " \t"))]
			switch control := bytes.IndexFunc(bytes.TrimSuffix(line, []byte("\r")), isControl); {
			case !utf8.Valid(line):
				f.wrong(i+1, "is no UTF-8")
			case control >= 0:
				f.wrong(i+1, "holds the control character %q", line[control])
			case bytes.Contains(indentation, []byte("\t")) && len(indentation) < len(line):
				f.wrong(i+1, "a tab in the indentation: YAML wants spaces")
			}
		}
	}
	return len(f.faults) > before
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// syntaxFault returns the line of an error of the YAML library, and its text without that. Errors of the library's
// scanner count lines from 1, those of its parser from 0, and line 1 is not reported.
func syntaxFault(err error) (line int, format, text string) {
	text = strings.TrimPrefix(err.Error(), "yaml: ")
	if !strings.HasPrefix(text, "unknown anchor") { // of which it never says where
		line = 1
	}
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = m[2]
		if yamlParser.MatchString(text) {
			line++
		}
	}
	if text == "found incompatible YAML document" {
		text = "a %YAML line of another version than 1.1: leave it out"
	}
	return line, "%s", text
}

var (
	yamlLine   = regexp.MustCompile(`^line (\d+): (.*)$`)
	yamlParser = regexp.MustCompile(`^did not find expected (key|node content|'-' indicator|',' or|<)`)
)

// mapping reads the keys of a group; above is its path with a dot, or nothing.
func (f *file) mapping(group *yaml.Node, above string) {
	lines := map[string]int{}
	for i := 0; i+1 < len(group.Content); i += 2 {
		key, value := group.Content[i], group.Content[i+1]
		path := above + key.Value
		if what := beyondSimple(key, value); what != "" {
			f.wrong(key.Line, "%s: %s", shown(path), what)
			continue
		}
		if line, twice := lines[key.Value]; twice {
			f.wrong(key.Line, "%s is given already in line %d", shown(path), line)
			continue
		}
		lines[key.Value] = key.Line
		f.pair(path, key, value)
	}
}

// pair reads the value of a key.
func (f *file) pair(path string, key, value *yaml.Node) {
	at := slices.IndexFunc(settings, func(s *setting) bool { return s.key == path })
	children := childrenOf(path)
	switch {
	case at < 0 && len(children) == 0 && len(f.faults) >= faultsMax: // it is not shown, and the search takes time
		f.wrong(key.Line, "unknown key")
	case at < 0 && len(children) == 0:
		f.wrong(key.Line, "unknown key %s%s", shown(path), meantKey(path, value))
	case len(children) > 0 && value.Kind == yaml.MappingNode:
		f.mapping(value, path+".")
	case len(children) > 0 && value.Tag == "!!null": // all of it is comments
	case len(children) > 0:
		f.wrong(value.Line, "%s: want a group with %s, not %s", path, either(children, "and"), kindOf(value))
	case value.Kind != yaml.ScalarNode || value.Tag == "!!null":
		f.wrong(value.Line, "%s: want a value, not %s", path, kindOf(value))
	default:
		f.list = append(f.list, given{settings[at], value.Value, origin{fromFile, f.name, value.Line}})
	}
}

// beyondSimple says which part of YAML is used that is not for us, if any. A dot would give a setting a second path, and
// a way around "given already".
func beyondSimple(key, value *yaml.Node) string {
	switch {
	case key.Kind != yaml.ScalarNode:
		return "want a word for a key, not " + kindOf(key)
	case strings.Contains(key.Value, "."):
		return "a dot in a key: write " + shown(nested(key.Value))
	case key.Tag == "!!merge":
		return "merge keys are not supported"
	case value.Kind == yaml.AliasNode:
		return "aliases are not supported: write the value out"
	case key.Anchor != "" || value.Anchor != "":
		return "anchors are not supported: write the value out"
	case (key.Style|value.Style)&yaml.TaggedStyle != 0:
		return "tags such as " + shown(value.Tag) + " are not supported"
	}
	return ""
}

// nested returns how a path with dots is written in a file.
func nested(path string) string {
	return strings.ReplaceAll(path, ".", ": {") + ": …" + strings.Repeat("}", strings.Count(path, "."))
}

// childrenOf returns the names right below a group, none when there is no such group.
func childrenOf(path string) (names []string) {
	for _, s := range settings {
		if rest, ok := strings.CutPrefix(s.key, path+"."); ok {
			name, _, _ := strings.Cut(rest, ".")
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// ofMosquitto are keys that are frequent in files for Mosquitto: what they are called here, or nothing when there is
// no such thing yet.
var ofMosquitto = map[string]string{
	"listener": "listeners.tcp.port", "bind_address": "listeners.tcp.host", "message_size_limit": "max_packet_size",
	"persistence_location": "persistence.data_dir", "autosave_interval": "persistence.sync_interval",
	"log_type": "log.level",

	"allow_anonymous": "", "password_file": "", "acl_file": "", "use_identity_as_username": "", "plugin": "",
	"cafile": "", "certfile": "", "keyfile": "", "crlfile": "", "require_certificate": "", "psk_file": "",
	"protocol": "", "connection": "", "mount_point": "", "per_listener_settings": "",
	"max_keepalive": "", "max_qos": "", "retain_available": "",
	"log_dest": "", "include_dir": "", "pid_file": "", "user": "",
}

// meantKey returns what to say of the key that was meant by a path, if it can be told.
func meantKey(path string, value *yaml.Node) string {
	here, known := ofMosquitto[leafOf(path)]
	switch {
	case known && here == "":
		return ": not supported yet"
	case !known || value.Kind == yaml.MappingNode:
		here = closestKey(path, value)
	}
	if here == "" {
		return ""
	}
	return "; the closest valid one is " + here
}

// closestKey returns the valid key that is most like a path, in part or as a whole: a group if the value is one. It
// returns nothing when none is like it.
func closestKey(path string, value *yaml.Node) string {
	var keys []string
	words := map[string][]string{}
	for _, s := range settings {
		keys = append(keys, s.key)
		words[s.key] = []string{s.key, leafOf(s.key), flagWord(s)}
	}
	if value.Kind == yaml.MappingNode {
		keys = groups()
	}
	leaf := leafOf(path)
	key, _ := closest(path, keys, func(key string) []string {
		names := append([]string{key}, words[key]...)
		if slices.Contains(names, leaf) { // the right word in the wrong place
			names = append(names, path)
		}
		return names
	})
	return key
}

// groups returns the paths that are not settings themselves.
func groups() (paths []string) {
	for _, s := range settings {
		for i, c := range s.key {
			if c == '.' && !slices.Contains(paths, s.key[:i]) {
				paths = append(paths, s.key[:i])
			}
		}
	}
	return paths
}

func leafOf(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// flagWord returns the name of the flag as a key would be written.
func flagWord(s *setting) string { return strings.ReplaceAll(s.flag, "-", "_") }

// kindOf names what stands where something else is wanted.
func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a group of keys"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing"
	}
	return "the text " + shown(n.Value)
}

// shown quotes what stands in a file, cut to a line's length.
func shown(text string) string {
	const runesMax = 64
	if runes := []rune(text); len(runes) > runesMax {
		text = string(runes[:runesMax]) + "…"
	}
	return strconv.Quote(text)
}

// either joins names: a, b or c.
func either(names []string, conjunction string) string {
	if len(names) == 1 {
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " " + conjunction + " " + names[len(names)-1]
}
