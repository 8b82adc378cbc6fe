package conformance

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// mosquittoKeepAliveSlack is how late mosquitto 2.0.11 ends a silent connection: it looks only every few seconds.
// Measured with a Keep Alive of 2 seconds: 0.4 to 5.8 s late, depending on the phase. [MQTT-3.1.2-24] names no
// tolerance at all, and what differs from run to run cannot be a listed deviation.
const mosquittoKeepAliveSlack = 8 * time.Second

// mosquittoMaxInflight is its default for max_inflight_messages.
const mosquittoMaxInflight = 20

// Why mosquitto deviates, where one reason serves many cases.
const (
	ignoresFlags = "mosquitto does not look at the reserved flags of this packet and goes on. " +
		"The specification is right: [MQTT-2.2.2-2] has the receiver close the connection"
	ignoresRest = "mosquitto reads what it needs and skips the rest of the packet. " +
		"The specification is right: the packet has a fixed length, another is a violation [MQTT-4.8.0-1]"
	ignoresType = "mosquitto handles this packet as a bridge would and ignores it. " +
		"The specification is right: table 2.1 forbids it from a Client, a violation [MQTT-4.8.0-1]"
)

// Those about QoS 1 and 2.
const (
	firstOverlapCounts = "mosquitto delivers one copy at the QoS of the subscription that it meets first. " +
		"The specification is right: the highest QoS of the matching ones counts"
	noSecondRepetition = "mosquitto closes the connection on the second repetition. " +
		"The specification is right: any subsequent PUBLISH before PUBREL is answered with PUBREC"
	noWillOnTakeover = "mosquitto publishes no Will when a Session with Clean Session 0 is taken over with Clean Session 0. " +
		"The specification is right: only DISCONNECT deletes the Will, and a takeover closes the connection"
	losesExchanges = "mosquitto acknowledges more exchanges than max_inflight_messages and loses those above it. " +
		"The specification is right: it has no such limit, and what had PUBREC is the Server's to deliver"
	oneMoreInflight = "mosquitto sends two messages for the first acknowledgement, one more than max_inflight_messages. " +
		"Both are right: the specification knows no such number, and this rule is mqttd's own"
)

// mosquittoDeviations lists where mosquitto 2.0.11 differs, and who is right.
var mosquittoDeviations = map[string]string{
	"MQTT-2.2.2-2/PUBACK_with_flags_0001":  ignoresFlags,
	"MQTT-2.2.2-2/PUBACK_with_flags_0010":  ignoresFlags,
	"MQTT-2.2.2-2/PUBACK_with_flags_1000":  ignoresFlags,
	"MQTT-2.2.2-2/PUBREC_with_flags_0001":  ignoresFlags,
	"MQTT-2.2.2-2/PUBREC_with_flags_0010":  ignoresFlags,
	"MQTT-2.2.2-2/PUBREC_with_flags_1000":  ignoresFlags,
	"MQTT-2.2.2-2/PUBCOMP_with_flags_0001": ignoresFlags,
	"MQTT-2.2.2-2/PUBCOMP_with_flags_0010": ignoresFlags,
	"MQTT-2.2.2-2/PUBCOMP_with_flags_1000": ignoresFlags,
	"MQTT-2.2.2-2/PINGREQ_with_flags_0001": ignoresFlags,
	"MQTT-2.2.2-2/PINGREQ_with_flags_0010": ignoresFlags,
	"MQTT-2.2.2-2/PINGREQ_with_flags_0100": ignoresFlags,
	"MQTT-2.2.2-2/PINGREQ_with_flags_1000": ignoresFlags,

	"MQTT-4.8.0-1/PINGREQ_with_a_payload":   ignoresRest,
	"MQTT-4.8.0-1/PUBACK_with_three_bytes":  ignoresRest,
	"MQTT-4.8.0-1/PUBREL_with_three_bytes":  ignoresRest,
	"MQTT-4.8.0-1/PUBCOMP_with_three_bytes": ignoresRest,

	"MQTT-4.8.0-1/SUBACK_from_a_Client":   ignoresType,
	"MQTT-4.8.0-1/UNSUBACK_from_a_Client": ignoresType,
	"MQTT-4.8.0-1/PINGRESP_from_a_Client": ignoresType,

	"MQTT-3.1.0-2/second_CONNECT_with_another_identifier": "mosquitto closes the connection and forgets the Will. " +
		"The specification is right: only DISCONNECT deletes the Will [MQTT-3.1.2-8], and section 3.1.2.5 names " +
		"a protocol error as a reason to publish it",
	"MQTT-3.3.1-2/DUP_with_QoS_0": "mosquitto delivers the message. The specification is right, mosquitto is lenient: " +
		"the packet breaks a rule, which is a violation [MQTT-4.8.0-1]; no rule speaks of this packet by name",

	"MQTT-3.3.5-1/highest_QoS_of_three_overlapping_subscriptions": firstOverlapCounts,
	"MQTT-3.3.5-1/overlapping_filters_a|b_and_#_at_QoS_0_and_1":   firstOverlapCounts,
	"MQTT-3.3.5-1/overlapping_filters_a|b_and_#_at_QoS_0_and_2":   firstOverlapCounts,
	"MQTT-3.3.5-1/overlapping_filters_a|b_and_#_at_QoS_1_and_2":   firstOverlapCounts,
	"MQTT-3.3.5-1/overlapping_filters_#_and_a|b_at_QoS_1_and_0":   firstOverlapCounts,
	"MQTT-3.3.5-1/overlapping_filters_#_and_a|b_at_QoS_2_and_0":   firstOverlapCounts,
	"MQTT-3.3.5-1/overlapping_filters_#_and_a|b_at_QoS_2_and_1":   firstOverlapCounts,
	"MQTT-3.3.5-1/overlapping_filters_a|+_and_+|b_at_QoS_0_and_1": firstOverlapCounts,
	"MQTT-3.3.5-1/overlapping_filters_a|+_and_+|b_at_QoS_0_and_2": firstOverlapCounts,
	"MQTT-3.3.5-1/overlapping_filters_a|+_and_+|b_at_QoS_1_and_2": firstOverlapCounts,

	"MQTT-4.3.3-2/repetitions_before_PUBREL_are_delivered_once_at_QoS_0": noSecondRepetition,
	"MQTT-4.3.3-2/repetitions_before_PUBREL_are_delivered_once_at_QoS_1": noSecondRepetition,
	"MQTT-4.3.3-2/repetitions_before_PUBREL_are_delivered_once_at_QoS_2": noSecondRepetition,

	"MQTT-3.1.2-8/the_Will_of_a_Session_goes_out_when_it_is_taken_over_at_QoS_0": noWillOnTakeover,
	"MQTT-3.1.2-8/the_Will_of_a_Session_goes_out_when_it_is_taken_over_at_QoS_1": noWillOnTakeover,
	"MQTT-3.1.2-8/the_Will_of_a_Session_goes_out_when_it_is_taken_over_at_QoS_2": noWillOnTakeover,

	"MQTT-4.1.0-1/identifiers_of_50_exchanges_are_kept_at_QoS_0": losesExchanges,
	"MQTT-4.1.0-1/identifiers_of_50_exchanges_are_kept_at_QoS_1": losesExchanges,
	"MQTT-4.1.0-1/identifiers_of_50_exchanges_are_kept_at_QoS_2": losesExchanges,

	"section-4.4/the_Server's_number_of_messages_without_acknowledgement_at_QoS_1": oneMoreInflight,
	"section-4.4/the_Server's_number_of_messages_without_acknowledgement_at_QoS_2": oneMoreInflight,

	"MQTT-2.3.1-4/every_identifier_once_around_while_two_stay_in_use": "mosquitto counts on and gives an identifier again that is in use. " +
		"The specification is right: the sender assigns one that is currently unused",
}

// startMosquitto runs Debian's mosquitto on a free port of the loopback interface: its defaults and the settings.
func startMosquitto(t *testing.T, settings ...string) *mosquitto {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/mosquitto") // not in every user's PATH
	}
	if err != nil {
		t.Skip("mosquitto is not installed (apt-get install mosquitto), and no -broker host:port was given")
	}
	version, _ := exec.Command(path, "-h").Output()
	t.Log(strings.SplitN(string(version), "\n", 2)[0])
	m := &mosquitto{path: path, config: filepath.Join(t.TempDir(), "mosquitto.conf"), address: freeAddress(t)}
	host, port, err := net.SplitHostPort(m.address)
	require.NoError(t, err)
	settings = append(settings, "listener "+port+" "+host, "allow_anonymous true", "set_tcp_nodelay true",
		"user root", // or it could not read the directory of the test
		"persistence_location "+filepath.Dir(m.config)+"/", "")
	require.NoError(t, os.WriteFile(m.config, []byte(strings.Join(settings, "\n")), 0o600))
	require.NoError(t, m.start())
	t.Cleanup(func() {
		_ = m.process.Process.Kill()
		_ = m.process.Wait()
		if t.Failed() {
			t.Logf("mosquitto said:\n%s", m.output.String())
		}
	})
	return m
}

// mosquitto is a running broker.
type mosquitto struct {
	path, config string
	address      string
	process      *exec.Cmd
	output       bytes.Buffer
}

// start returns when the broker listens.
func (m *mosquitto) start() error {
	m.process = exec.Command(m.path, "-c", m.config)
	m.process.Stdout, m.process.Stderr = &m.output, &m.output
	if err := m.process.Start(); err != nil {
		return err
	}
	for end := time.Now().Add(patienceDefault); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", m.address)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(end) {
			return err
		}
	}
}

// restart stores what the broker has when persistence is on.
func (m *mosquitto) restart() error {
	if err := m.process.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := m.process.Wait(); err != nil {
		return err
	}
	return m.start()
}

// freeAddress returns an address that nothing listens on. Its host is a loopback address of the test's own: nobody
// connects from there, and so nobody takes the port while the broker is down.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+rand.N(250), rand.N(250), 1+rand.N(250)))
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
