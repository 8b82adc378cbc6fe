package peer

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// helperMark as first argument makes the test binary one of the helpers.
const helperMark = "peer-test-helper"

func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == helperMark {
		helpers[os.Args[2]](os.Args[3])
		return
	}
	os.Exit(m.Run())
}

// helpers are programs that tests start; the argument of all but harness is a port.
var helpers = map[string]func(argument string){
	"answers":  func(port string) { serve(port, "\x20\x02\x00\x00") },
	"refuses":  func(port string) { serve(port, "\x20\x02\x00\x05") },
	"babbles":  func(port string) { serve(port, "HTTP/1.1 400 Bad Request\r\n\r\n") },
	"silent":   func(port string) { serve(port, "") },
	"ends":     endAtOnce,
	"stubborn": func(port string) { signal.Ignore(unix.SIGTERM); serve(port, "\x20\x02\x00\x00") },
	"polite":   func(port string) { onSIGTERM(func() { os.Exit(143) }); serve(port, "\x20\x02\x00\x00") },
	"crashes": func(port string) {
		onSIGTERM(func() { _ = unix.Kill(os.Getpid(), unix.SIGHUP) })
		serve(port, "\x20\x02\x00\x00")
	},
	"chatty":  func(port string) { chat(); serve(port, "\x20\x02\x00\x00") },
	"family":  family,
	"harness": harness,
}

// serve answers the first bytes of every connection.
func serve(port, answer string) {
	listener, err := net.Listen("tcp4", "127.0.0.1:"+port)
	if err != nil {
		panic(err)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go func() {
			defer func() { _ = conn.Close() }()
			_, _ = io.ReadFull(conn, make([]byte, len(connect)))
			_, _ = io.WriteString(conn, answer)
			_, _ = io.Copy(io.Discard, conn)
		}()
	}
}

func endAtOnce(string) {
	fmt.Println("opening the database")
	fmt.Fprintln(os.Stderr, "the database is locked")
	os.Exit(3)
}

func onSIGTERM(do func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM)
	go func() { <-signals; do() }()
}

// chat writes a megabyte.
func chat() {
	for i := range 10_000 {
		fmt.Println(strings.Repeat("chatter ", 12), i)
	}
	fmt.Println("that is all")
}

// family lets a child of its own serve.
func family(port string) {
	cmd := exec.Command(os.Args[0], helperMark, "answers", port)
	cmd.Stdout = os.Stdout
	fmt.Println(cmd.Run())
}

// harness starts a peer, which it gets as JSON, says its port and does nothing more.
func harness(text string) {
	var p Peer
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		panic(err)
	}
	b, err := p.Start(context.Background())
	if err != nil {
		panic(err)
	}
	fmt.Println(b.Port)
	select {}
}

// helper returns a peer that is the test binary as one of the helpers.
func helper(t *testing.T, name string) Peer {
	t.Helper()
	require.Contains(t, helpers, name)
	executable, err := os.Executable()
	require.NoError(t, err)
	return Peer{Name: name, Command: []string{executable, helperMark, name, placeholderPort}}
}
