package main

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"mqttd/bench/compare"
	"mqttd/bench/report"
)

const reportHead = `Usage: mqttbench report FILE -out DIR

Writes the reports of a comparison again, from its raw data (comparison.json.gz, or what
mqttbench compare -json wrote).
`

// Files in the folder of a comparison, of which a soak has the table.
const (
	fileRaw      = "comparison.json.gz"
	fileHTML     = "report.html"
	fileTable    = "table.txt"
	fileMarkdown = "table.md"
)

// writeAgain is mqttbench report. FILE may stand before or after the flags.
func writeAgain(args []string, stdout io.Writer) error {
	flags := newFlags("mqttbench report")
	out := flags.String("out", "", "`folder` for "+fileHTML+", tables and pictures")
	var path string
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		path, args = args[0], args[1:]
	}
	argsMax := 1
	if path != "" {
		argsMax = 0
	}
	if err := parse(flags, args, argsMax, reportHead, stdout); err != nil {
		return err
	}
	if path == "" {
		path = flags.Arg(0)
	}
	switch {
	case path == "":
		return usageError("the file of a comparison is missing; see mqttbench report -h")
	case *out == "":
		return usageError("-out is missing: the folder for the reports")
	}
	c, err := readComparison(path)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return err
	}
	if err := writeReports(*out, c); err != nil {
		return err
	}
	return report.WriteTable(stdout, c)
}

// readComparison reads JSON, compressed or not.
func readComparison(path string) (*compare.Comparison, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	var from io.Reader = file
	if strings.HasSuffix(path, ".gz") {
		if from, err = gzip.NewReader(file); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	c := new(compare.Comparison)
	if err := json.NewDecoder(from).Decode(c); err != nil {
		return nil, fmt.Errorf("%s is not a comparison: %w", path, err)
	}
	if len(c.Peers) == 0 || len(c.Scenarios) == 0 {
		return nil, fmt.Errorf("%s is not a comparison: it holds no peers or no scenarios", path)
	}
	return c, nil
}

// writeRaw writes what the reports can be made from again.
func writeRaw(dir, name string, value any) error {
	return writeFile(dir, name, func(w io.Writer) error {
		z := gzip.NewWriter(w)
		return errors.Join(json.NewEncoder(z).Encode(value), z.Close())
	})
}

// writeReports writes everything but the raw data, and as much of it as can be.
func writeReports(dir string, c *compare.Comparison) error {
	_, err := report.WritePictures(dir, c)
	return errors.Join(err,
		writeFile(dir, fileHTML, func(w io.Writer) error { return report.WriteHTML(w, c) }),
		writeFile(dir, fileTable, func(w io.Writer) error { return report.WriteTable(w, c) }),
		writeFile(dir, fileMarkdown, func(w io.Writer) error { return report.WriteMarkdown(w, c) }))
}

// writeFile writes a whole file or none.
func writeFile(dir, name string, write func(w io.Writer) error) error {
	file, err := os.CreateTemp(dir, name+".*")
	if err != nil {
		return err
	}
	err = errors.Join(write(file), file.Chmod(0o644), file.Close())
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return os.Rename(file.Name(), filepath.Join(dir, name))
}
