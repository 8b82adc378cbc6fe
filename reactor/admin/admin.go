package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"mqttd/reactor"
)

// Source is what is asked of the broker; a *reactor.Server is one. Its methods may be called by any goroutine.
type Source interface {
	Stats() reactor.Stats
	Loops() []reactor.LoopStats
	Fanout() (latency, skew reactor.Histogram)
	Clients(ctx context.Context, after, limit int) (list []reactor.ClientInfo, next int, err error)
	Client(ctx context.Context, clientID string) (info reactor.ClientInfo, ok bool, err error)
	Top(ctx context.Context, n int) (byLoss, byWaiting []reactor.ClientInfo, err error)
	Responsive(ctx context.Context) error
	Ready() bool
}

// Options says how an Admin behaves.
type Options struct {
	// Address is the host:port to listen on. An empty host means the loopback, 127.0.0.1; port 0 takes a free
	// one, see Admin.Addr.
	Address string
	// Pprof mounts Go's profiles under /debug/pprof/. They cost CPU time while they are taken.
	Pprof bool
	// Top is how many clients have metrics of their own, and are listed by /api/v1/losses, 0 to TopMax.
	Top int
	// Version of the broker, for mqttd_build_info.
	Version string
	// Log gets what the HTTP server complains about, at debug level: it is the peers' doing.
	Log zerolog.Logger
}

// Validate returns every fault of the options at once, nil if there is none. Without an address they are for no
// Admin at all.
func (o *Options) Validate() error {
	var faults []error
	_, port, err := net.SplitHostPort(o.Address)
	number, notNumber := strconv.Atoi(port)
	switch {
	case o.Address == "" && o.Pprof:
		faults = append(faults, errors.New("pprof: it is part of what -admin serves, which is off"))
	case o.Address == "":
	case err != nil || notNumber != nil || number < 0 || number > 65535:
		faults = append(faults, fmt.Errorf("admin %q: want host:port, such as 127.0.0.1:9883 or :9883", o.Address))
	}
	if o.Top < 0 || o.Top > TopMax {
		faults = append(faults, fmt.Errorf("top %d: want 0 to %d", o.Top, TopMax))
	}
	return errors.Join(faults...)
}

// TopMax bounds Options.Top: each is a time series. (chosen)
const TopMax = 100

// Limits of the HTTP server. (chosen)
const (
	connectionsMax    = 32 // further ones wait in the kernel; the broker keeps 64 descriptors free for such things
	headerBytesMax    = 16 << 10
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second // of a body too: it is not wanted, but net/http waits for it
	idleTimeout       = 15 * time.Second // or those who hold connections would keep the others out
	writeTimeout      = 10 * time.Second
	profileTimeout    = 5 * time.Minute

	healthTimeout = time.Second            // a loop that takes longer is not healthy
	askTimeout    = 2 * time.Second        // of the API
	scrapeTimeout = 500 * time.Millisecond // of the part of a scrape that asks the loops
)

// Admin is the HTTP server. Make one with New, Serve it once, and Close it.
type Admin struct {
	source   Source
	options  Options
	host     string // that was asked for
	listener net.Listener
	server   *http.Server
}

// New opens the address. Clients can connect from now on and are answered when Serve is called.
func New(source Source, options Options) (*Admin, error) {
	host, port, err := net.SplitHostPort(options.Address)
	if err != nil {
		return nil, err
	}
	if host == "" {
		host = "127.0.0.1"
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, err
	}
	a := &Admin{source: source, options: options, host: host, listener: newLimitedListener(listener, connectionsMax)}
	a.server = &http.Server{
		Handler:           a.handler(),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytesMax,
		ErrorLog:          errorLog(options.Log),
	}
	return a, nil
}

// Addr returns the address that is listened on.
func (a *Admin) Addr() string { return a.listener.Addr().String() }

// OnLoopback reports whether only this machine can reach it.
func (a *Admin) OnLoopback() bool { return a.listener.Addr().(*net.TCPAddr).IP.IsLoopback() }

// Serve answers until Close and returns nil then.
func (a *Admin) Serve() error {
	if err := a.server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Close ends Serve and all connections at once.
func (a *Admin) Close() error {
	return errors.Join(a.server.Close(), ignoreClosed(a.listener.Close())) // Serve may not have been called
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// clientPath is followed by a Client Identifier, see (*Admin).client.
const clientPath = "/api/v1/clients/"

func (a *Admin) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/metrics", readOnly(a.metrics()))
	mux.Handle("/healthz", readOnly(http.HandlerFunc(a.healthz)))
	mux.Handle("/readyz", readOnly(http.HandlerFunc(a.readyz)))
	mux.Handle("/api/v1/clients", readOnly(http.HandlerFunc(a.clients)))
	mux.Handle("/api/v1/losses", readOnly(http.HandlerFunc(a.losses)))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, http.StatusNotFound, "no such page: "+r.URL.Path)
	})
	profiles := http.NewServeMux()
	profiles.HandleFunc("/debug/pprof/", pprof.Index)
	profiles.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	profiles.HandleFunc("/debug/pprof/profile", pprof.Profile)
	profiles.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	profiles.HandleFunc("/debug/pprof/trace", pprof.Trace)
	client := readOnly(http.HandlerFunc(a.client))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.EscapedPath()
		switch {
		case !a.answersFor(r.Host):
			setDeadline(w, writeTimeout)
			writeError(w, http.StatusForbidden, "this host is not served here: use localhost or the address")
		case a.options.Pprof && strings.HasPrefix(path, "/debug/pprof/"):
			setDeadline(w, profileTimeout)
			profiles.ServeHTTP(w, r)
		case strings.HasPrefix(path, clientPath): // not by the mux: it would make one client of a//b and a/b
			setDeadline(w, writeTimeout)
			client.ServeHTTP(w, r)
		default:
			setDeadline(w, writeTimeout)
			mux.ServeHTTP(w, r)
		}
	})
}

// answersFor reports whether a request with this Host is answered. On the loopback a name must be its own or the
// one asked for: behind another one a web page may be, whose name was made to lead here to read what only this
// machine may. Programs that are no browser may leave the Host out.
func (a *Admin) answersFor(host string) bool {
	if host == "" || !a.OnLoopback() {
		return true
	}
	name := (&url.URL{Host: host}).Hostname()
	_, err := netip.ParseAddr(name)
	return err == nil || strings.EqualFold(name, "localhost") || strings.EqualFold(name, a.host)
}

func setDeadline(w http.ResponseWriter, timeout time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(timeout)) // it fails in tests without a socket
}

// readOnly lets GET and HEAD through.
func readOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			writeError(w, http.StatusMethodNotAllowed, "only GET and HEAD: nothing can be changed here")
			return
		}
		next.ServeHTTP(w, r)
	})
}
