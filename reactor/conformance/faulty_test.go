package conformance

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// faultyPatience is how long cases wait that are meant to fail; chosen, several times a round trip on loopback.
const faultyPatience = 700 * time.Millisecond

// fault is a proxy before a sound broker, and what it does wrong.
type fault struct {
	name string
	// toServer and toClient replace a packet by those to pass on; toServer also by those to answer at once.
	toServer func() func(frame []byte) (pass, answer [][]byte)
	toClient func() func(frame []byte) (pass [][]byte)
	// keepsOpen leaves the client's connection open when the broker has ended its own.
	keepsOpen bool
	// closesAfter ends each connection early when it is not zero.
	closesAfter time.Duration
	// farewell is sent to the broker when the client has ended its connection.
	farewell []byte
	// caught lists the cases that must fail; a name that ends in a slash stands for all cases of a rule.
	caught []string
}

var faults = []fault{
	{
		name: "closes no connection", keepsOpen: true,
		caught: []string{
			"MQTT-1.5.3-2/", "MQTT-2.3.1-1/", "MQTT-3.1.0-1/", "MQTT-3.1.2-1/", "MQTT-3.1.2-2/", "MQTT-3.1.2-3/",
			"MQTT-3.1.2-11/", "MQTT-3.1.2-22/", "MQTT-3.1.3-4/", "MQTT-3.1.3-8/", "MQTT-3.1.4-1/",
			"MQTT-3.1.4-2/the_existing_Client_is_disconnected",
			"MQTT-3.3.1-4/", "MQTT-3.3.2-2/", "MQTT-3.6.1-1/", "MQTT-3.8.1-1/", "MQTT-3.8.3-4/", "MQTT-3.10.1-1/",
			"MQTT-3.10.3-2/", "MQTT-3.14.1-1/", "MQTT-4.7.1-2/filter_a#", "MQTT-4.7.1-3/filter_+a",
			"section-3.14.4/the_Server_closes_the_connection",
		},
	},
	{name: "sets RETAIN on live messages", toClient: onPublish(func(p *publish) { p.retain = true }),
		caught: []string{"MQTT-3.3.1-9/", "MQTT-3.1.2-16/"}},
	{name: "clears RETAIN always", toClient: onPublish(func(p *publish) { p.retain = false }),
		caught: []string{"MQTT-3.3.1-5/", "MQTT-3.3.1-6/", "MQTT-3.8.4-3/re-subscribing_sends_retained_messages_again"}},
	{name: "stores what has no RETAIN", toServer: onIncoming(func(p *publish) { p.retain = true }),
		caught: []string{"MQTT-3.3.1-12/"}},
	{name: "stores nothing", toServer: onIncoming(func(p *publish) { p.retain = false }),
		caught: []string{"MQTT-3.3.1-5/", "MQTT-3.3.1-7/", "MQTT-3.1.2-7/"}},
	{name: "does not clear", toServer: onIncoming(func(p *publish) { p.retain = p.retain && p.payload != "" }),
		caught: []string{"MQTT-3.3.1-10/an_empty_message_clears", "MQTT-3.3.1-10/clearing_leaves_the_neighbours"}},
	{name: "sets DUP", toClient: onPublish(func(p *publish) { p.dup = true }),
		caught: []string{"MQTT-3.3.1-3/", "MQTT-2.3.1-5/"}},
	{name: "ignores case", toServer: onIncoming(func(p *publish) { p.topic = strings.ToLower(p.topic) }),
		caught: []string{"MQTT-4.7.3-4/filter_a", "MQTT-4.7.3-4/filter_ACCOUNTS"}},
	{name: "strips U+FEFF", toServer: onIncoming(func(p *publish) { p.topic = strings.ReplaceAll(p.topic, "\uFEFF", "") }),
		caught: []string{"MQTT-1.5.3-3/"}},
	{name: "squeezes slashes", toServer: onIncoming(func(p *publish) { p.topic = strings.ReplaceAll(p.topic, "//", "/") }),
		caught: []string{"MQTT-4.7.3-4/filter_a||b", "section-4.7/filter_+|+"}},
	{name: "loses the last byte of a payload", toClient: onPublish(func(p *publish) {
		p.payload = p.payload[:max(1, len(p.payload))-1]
	}),
		caught: []string{"section-2.2.3/payload_of_127_bytes", "section-2.2.3/payload_of_65536_bytes"}},
	{name: "delivers twice", toClient: each(firstPublish, twice),
		caught: []string{"section-3.3.5/", "MQTT-4.3.3-2/a_repetition_without_DUP_is_delivered_once_at_QoS_0",
			"MQTT-3.8.4-4/the_same_filter_twice", "MQTT-4.6.0-6/"}},
	{name: "delivers in pairs swapped", toClient: pairsSwapped(firstPublish), caught: []string{"MQTT-4.6.0-6/", "MQTT-4.6.0-3/"}},
	{name: "loses every third message", toClient: everyThirdLost,
		caught: []string{"MQTT-4.6.0-6/", "MQTT-4.5.0-1/one_hundred_subscribers"}},
	{name: "sends PINGRESP twice", toClient: each(firstPingresp, twice),
		caught: []string{"MQTT-3.12.4-1/"}},
	{name: "gives Session Present 1", toClient: each(firstConnack, func(frame []byte) [][]byte {
		return [][]byte{connack(1, frame[3])}
	}),
		caught: []string{"MQTT-3.2.2-1/", "MQTT-3.2.2-3/", "MQTT-3.1.2-2/", "MQTT-3.1.4-4/"}},
	{name: "accepts every CONNECT", toClient: each(firstConnack, func([]byte) [][]byte {
		return [][]byte{connack(0, accepted)}
	}),
		caught: []string{"MQTT-3.1.2-2/", "MQTT-3.1.3-8/", "MQTT-3.1.4-5/PUBLISH_after_a_refused_CONNECT"}},
	{name: "answers with the next identifier", toClient: nextIdentifier,
		caught: []string{"MQTT-2.3.1-6/", "MQTT-2.3.1-7/", "MQTT-3.8.4-1/", "MQTT-3.10.4-4/", "MQTT-4.3.2-2/"}},
	{name: "turns the return codes around", toClient: each(firstSuback, func(frame []byte) [][]byte {
		slices.Reverse(frame[4:])
		frame[4] |= 1
		return [][]byte{frame}
	}), caught: []string{"MQTT-3.9.3-1/", "MQTT-3.8.4-4/many_filters_in_one_SUBSCRIBE"}},
	{name: "deletes no subscription", toServer: unsubscribesNothing,
		caught: []string{"MQTT-3.10.4-1/only_the_same_filter_is_deleted", "MQTT-3.10.4-2/nothing_new_after_UNSUBACK",
			"MQTT-3.10.4-6/"}},
	{name: "answers no UNSUBSCRIBE", toClient: each(firstUnsuback, func([]byte) [][]byte { return nil }),
		caught: []string{"MQTT-3.10.4-5/", "MQTT-3.10.4-6/"}},
	{name: "overlooks DISCONNECT", toServer: overlooks(firstDisconnect),
		caught: []string{"MQTT-3.14.4-3/", "section-3.14.4/the_Server_closes_the_connection"}},
	{name: "publishes no Will", farewell: disconnect,
		caught: []string{"MQTT-3.1.2-8/FIN_without_DISCONNECT", "MQTT-3.1.2-17/", "MQTT-3.1.2-12/", "section-3.1.2.5/"}},
	{name: "knows no Keep Alive", toServer: noKeepAlive, caught: []string{"MQTT-3.1.2-24/a_silent_Client_is_disconnected"}},
	{name: "delivers at QoS 0 at most", toClient: onPublish(func(p *publish) { p.qos = 0 }),
		caught: []string{
			"MQTT-3.8.4-6/delivered_once_and_at_the_lower_QoS,_published_at_1_and_subscribed_at_1",
			"MQTT-3.8.4-6/delivered_once_and_at_the_lower_QoS,_published_at_2_and_subscribed_at_1",
			"MQTT-3.3.1-6/sent_at_the_lower_QoS_with_RETAIN_1,_published_at_1_and_subscribed_at_2",
			"MQTT-3.1.2-9/Will_QoS,_published_at_2_and_subscribed_at_2", "MQTT-4.3.2-1/", "MQTT-4.3.3-1/",
		}},
	{name: "delivers at QoS 1 at most", toClient: onPublish(func(p *publish) { p.qos = min(p.qos, 1) }),
		caught: []string{
			"MQTT-3.8.4-6/delivered_once_and_at_the_lower_QoS,_published_at_2_and_subscribed_at_2",
			"MQTT-3.8.4-3/re-subscribing_changes_the_QoS_at_QoS_0_and_2", "section-3.8.4/500_filters_of_every_QoS",
		}},
	{name: "delivers at the QoS of the subscription", toClient: onPublish(func(p *publish) { p.qos, p.id = max(p.qos, 1), max(p.id, 1) }),
		caught: []string{
			"MQTT-3.8.4-6/delivered_once_and_at_the_lower_QoS,_published_at_0_and_subscribed_at_1",
			"MQTT-3.8.4-6/an_empty_payload,_published_at_0_and_subscribed_at_2",
		}},
	{name: "grants QoS 1 at most", toClient: each(firstSuback, func(frame []byte) [][]byte {
		codes := frame[1+len(remainingLength(len(frame)-2))+2:]
		for i := range codes {
			codes[i] = min(codes[i], 1)
		}
		return [][]byte{frame}
	}), caught: []string{"MQTT-3.9.3-2/each_QoS_is_granted_as_asked_for", "section-3.8.4/500_filters_of_every_QoS"}},
	{name: "gives all messages one identifier", toClient: onPublish(func(p *publish) { p.id = 7 }),
		caught: []string{"MQTT-2.3.1-4/", "MQTT-3.1.2-5/identifiers_of_stored_messages_are_distinct"}},
	{name: "gives identifier 0", toClient: onPublish(func(p *publish) { p.id = 0 }),
		caught: []string{"MQTT-4.3.2-1/", "MQTT-4.3.3-1/", "MQTT-2.3.1-4/"}},
	{name: "clears DUP", toClient: onPublish(func(p *publish) { p.dup = false }),
		caught: []string{"MQTT-3.3.1-1/DUP_on_re-delivery,_published_at_1_and_subscribed_at_2",
			"MQTT-3.3.1-1/a_retained_message_is_re-sent_with_DUP_and_RETAIN_at_QoS_2",
			"MQTT-4.6.0-1/what_was_acknowledged_leaves_a_gap_at_QoS_1"}},
	{name: "re-sends no PUBLISH", toClient: each(firstPublish, func(frame []byte) [][]byte {
		if frame[0]&0x08 != 0 {
			return nil
		}
		return [][]byte{frame}
	}), caught: []string{"MQTT-4.6.0-1/", "MQTT-4.4.0-1/unacknowledged_messages_after_a_takeover_at_QoS_1",
		"MQTT-4.4.0-1/900000_bytes_are_re-sent_at_QoS_2", "MQTT-3.1.4-2/twenty_takeovers_of_a_Session_in_a_row_at_QoS_1"}},
	{name: "sends no PUBREL", toClient: each(firstPubrel, func([]byte) [][]byte { return nil }),
		caught: []string{"MQTT-4.3.3-1/", "MQTT-4.6.0-4/", "MQTT-4.4.0-1/an_unacknowledged_PUBREL_is_re-sent,_and_its_PUBLISH_is_not",
			"MQTT-3.10.4-3/deliveries_begun_are_completed_at_QoS_2"}},
	{name: "sends PUBRELs in pairs swapped", toClient: pairsSwapped(firstPubrel), caught: []string{"MQTT-4.6.0-4/"}},
	{name: "sends PUBACKs in pairs swapped", toClient: pairsSwapped(firstPuback), caught: []string{"MQTT-4.6.0-2/",
		"MQTT-4.6.0-6/sent_at_once,_published_at_1_and_subscribed_at_0"}},
	{name: "sends PUBRECs in pairs swapped", toClient: pairsSwapped(firstPubrec), caught: []string{"MQTT-4.6.0-3/",
		"MQTT-4.6.0-2/acknowledgements_of_QoS_1_and_2_side_by_side"}},
	{name: "takes no PUBACK", toServer: overlooks(firstPuback),
		caught: []string{"MQTT-4.6.0-1/what_was_acknowledged_leaves_a_gap_at_QoS_1",
			"MQTT-4.4.0-1/unacknowledged_messages_after_DISCONNECT_at_QoS_1",
			"MQTT-4.6.0-6/all_messages_come_after_a_time_without_acknowledgement_at_QoS_1"}},
	{name: "takes no PUBREC", toServer: overlooks(firstPubrec), caught: []string{"MQTT-4.3.3-1/", "MQTT-4.6.0-4/"}},
	{name: "takes no PUBCOMP", toServer: overlooks(firstPubcomp),
		caught: []string{"MQTT-4.4.0-1/unacknowledged_messages_after_DISCONNECT_at_QoS_2",
			"MQTT-4.4.0-1/an_unacknowledged_PUBREL_is_re-sent,_and_its_PUBLISH_is_not"}},
	{name: "knows no Clean Session 0", toServer: cleanSession(true),
		caught: []string{"MQTT-3.2.2-2/", "MQTT-3.1.2-4/the_subscription_is_kept_at_QoS_0", "MQTT-3.1.2-5/stored,_published_at_1_and_subscribed_at_1",
			"MQTT-4.1.0-1/", "MQTT-4.4.0-1/"}},
	{name: "knows no Clean Session 1", toServer: cleanSession(false),
		caught: []string{"MQTT-3.1.2-6/Clean_Session_1_discards_stored_messages_at_QoS_1",
			"MQTT-3.1.2-6/Clean_Session_1_discards_unacknowledged_messages_after_a_takeover_at_QoS_2",
			"MQTT-3.1.2-6/Clean_Session_1_discards_a_PUBREL", "MQTT-3.2.2-1/"}},
	{name: "gives Session Present 0", toClient: each(firstConnack, func(frame []byte) [][]byte {
		return [][]byte{connack(0, frame[3])}
	}), caught: []string{"MQTT-3.2.2-2/"}},
	{name: "takes a repeated PUBLISH for a new one", toServer: forgetsIdentifiers,
		caught: []string{"MQTT-4.3.3-2/PUBREC_read_but_lost,_broken_off_by_a_takeover_at_QoS_2",
			"MQTT-4.1.0-1/identifiers_of_15_exchanges_are_kept_at_QoS_1"}},
	{name: "stores QoS 0 for absent Clients", toServer: onIncoming(func(p *publish) { p.qos, p.id = max(p.qos, 1), max(p.id, 1) }),
		caught: []string{"section-3.1.2.4-QoS-0/published_at_0_and_subscribed_at_2"}},
	{name: "knows no MQTT 3.1", toClient: each(firstConnack, func([]byte) [][]byte {
		return [][]byte{connack(0, unacceptableLevel)}
	}), caught: []string{"section-3.1.2.2/PUBREL_with_DUP",
		"section-3.1.2.2/MQTT_3.1_at_both_ends,_published_at_0_and_subscribed_at_0"}},
	{name: "is impatient", closesAfter: 2 * time.Second, caught: []string{"MQTT-3.1.2-24/", "section-3.1.2.10/"}},
}

// TestCasesFailForAFaultyBroker shows that the cases fail when they should. That they pass without the fault is what
// TestBroker shows.
func TestCasesFailForAFaultyBroker(t *testing.T) {
	target := Target{
		Address: startMosquitto(t).address, MaxQoS: 2, PersistentSessions: true, Deviations: mosquittoDeviations,
		KeepAliveSlack: time.Second, // less than mosquitto needs: only failures are of interest
	}
	sound := casesNamed(t, []string{"MQTT-4.6.0-6/", "MQTT-3.1.4-1/", "MQTT-3.3.1-6/"}, target)
	require.Empty(t, failed(runPlainly(proxied(t, target, fault{}), sound, patienceDefault)),
		"cases fail for a proxy without a fault")
	t.Run("faults", func(t *testing.T) {
		for _, f := range faults {
			t.Run(f.name, func(t *testing.T) {
				cases, faulty := casesNamed(t, f.caught, target), proxied(t, target, f)
				ended := make(chan map[string][]string, 1)
				go func() { ended <- runPlainly(faulty, cases, faultyPatience) }()
				t.Parallel()
				for name, failures := range <-ended {
					assert.NotEmpty(t, failures, "%s does not fail", name)
				}
			})
		}
	})
}

// proxied is the target behind a proxy with a fault.
func proxied(t *testing.T, target Target, f fault) Target {
	t.Helper()
	target.Address = startProxy(t, target.Address, f)
	return target
}

// failed lists the cases that have failures.
func failed(results map[string][]string) (names []string) {
	for name, failures := range results {
		if len(failures) > 0 {
			names = append(names, name)
		}
	}
	return names
}

// TestEveryCaseFailsForAMuteBroker takes a server that accepts connections and never says a word.
func TestEveryCaseFailsForAMuteBroker(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	go func() {
		var open []net.Conn // kept, or the garbage collector would close them
		for {
			conn, err := listener.Accept()
			if err != nil {
				for _, conn := range open {
					_ = conn.Close()
				}
				return
			}
			open = append(open, conn)
		}
	}()
	target := Target{
		Address: listener.Addr().String(), MaxQoS: 2, PersistentSessions: true, MaxPacketBytes: 1 << 20,
		ConnectTimeout: 10 * time.Millisecond, KeepAliveSlack: 10 * time.Millisecond,
	}
	for name, failures := range runPlainly(target, allCases(), 50*time.Millisecond) {
		assert.NotEmpty(t, failures, name)
	}
}

// TestConnectTimeoutCases takes a server that knows nothing but its patience for CONNECT.
func TestConnectTimeoutCases(t *testing.T) {
	const timeout = 300 * time.Millisecond
	target := Target{Address: startProxy(t, "", fault{closesAfter: timeout}), ConnectTimeout: timeout}
	cases := slices.DeleteFunc(allCases(), func(c testCase) bool { return c.needs != needsConnectTimeout })
	require.Len(t, cases, 2)
	for name, failures := range runPlainly(target, cases, patienceDefault) {
		assert.Empty(t, failures, name)
	}
	target.ConnectTimeout = 2 * timeout
	early := casesNamed(t, []string{"section-3.1.4/a_connection_without_CONNECT_ends"}, target)
	for name, failures := range runPlainly(target, early, patienceDefault) {
		assert.NotEmpty(t, failures, name)
	}
}

// TestRestartCasesFailForABrokerThatForgets takes a mosquitto that stores nothing.
func TestRestartCasesFailForABrokerThatForgets(t *testing.T) {
	broker := startMosquitto(t, "persistence false")
	target := Target{Address: broker.address, MaxQoS: 2, PersistentSessions: true, Restart: broker.restart}
	cases := slices.DeleteFunc(allCases(), func(c testCase) bool { return c.needs&needsRestart == 0 })
	for name, failures := range runPlainly(target, cases, faultyPatience) {
		if name != "section-4.1/a_discarded_Session_stays_so_after_a_restart" { // to forget is its point
			assert.NotEmpty(t, failures, name)
		}
	}
}

// casesNamed finds cases by full name or by rule, without those that the target deviates in.
func casesNamed(t *testing.T, names []string, target Target) []testCase {
	t.Helper()
	var found []testCase
	for _, name := range names {
		before := len(found)
		for _, c := range allCases() {
			_, deviates := target.Deviations[c.fullName()]
			named := c.fullName() == name || strings.HasSuffix(name, "/") && strings.HasPrefix(c.fullName(), name)
			if named && !deviates {
				found = append(found, c)
			}
		}
		require.Greater(t, len(found), before, "no case %s", name)
	}
	return found
}

// runPlainly runs the cases at once and returns what failed in each.
func runPlainly(target Target, cases []testCase, patience time.Duration) map[string][]string {
	places := make(chan struct{}, casesAtOnceMax)
	failures := map[string][]string{}
	trials := make([]*trial, len(cases))
	ended := make([]<-chan struct{}, len(cases))
	run := time.Now().Format("150405.000000")[7:]
	around := newRestart()
	for i, c := range cases {
		trials[i] = newTrial(target, "f"+run+"x"+strconv.FormatInt(int64(i), 36))
		trials[i].patience = patience
		if c.needs&needsRestart != 0 {
			trials[i].join(around)
		}
		ended[i] = trials[i].start(c.run, places)
	}
	if target.Restart != nil {
		around.perform(target.Restart)
	}
	for i, c := range cases {
		<-ended[i]
		failures[c.fullName()] = trials[i].failures
	}
	return failures
}

// startProxy passes packets between clients and the broker at address, with a fault.
func startProxy(t *testing.T, address string, f fault) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			down, err := listener.Accept()
			if err != nil {
				return
			}
			go f.serve(down, address)
		}
	}()
	return listener.Addr().String()
}

// serve connects a client with the broker until both ends are done.
func (f fault) serve(down net.Conn, address string) {
	if f.closesAfter > 0 {
		time.AfterFunc(f.closesAfter, func() { _ = down.Close() })
	}
	if address == "" {
		return
	}
	up, err := net.Dial("tcp", address)
	if err != nil {
		_ = down.Close()
		return
	}
	toServer := func(frame []byte) (pass, answer [][]byte) { return [][]byte{frame}, nil }
	if f.toServer != nil {
		toServer = f.toServer()
	}
	toClient := func(frame []byte) [][]byte { return [][]byte{frame} }
	if f.toClient != nil {
		toClient = f.toClient()
	}
	var ends sync.WaitGroup
	ends.Go(func() {
		for r := bufio.NewReader(down); ; {
			frame, err := readPacket(r)
			if err != nil {
				_, _ = up.Write(f.farewell)
				_ = up.(*net.TCPConn).CloseWrite()
				return
			}
			pass, answer := toServer(frame)
			_, _ = up.Write(join(pass...))
			if len(answer) > 0 {
				_, _ = down.Write(join(answer...))
			}
		}
	})
	ends.Go(func() {
		for r := bufio.NewReader(up); ; {
			frame, err := readPacket(r)
			if err != nil {
				if !f.keepsOpen {
					_ = down.Close()
				}
				return
			}
			_, _ = down.Write(join(toClient(frame)...))
		}
	})
	ends.Wait()
	_, _ = up.Close(), down.Close()
}

// each applies change to the packets of one type.
func each(first byte, change func(frame []byte) [][]byte) func() func([]byte) [][]byte {
	return func() func([]byte) [][]byte {
		return func(frame []byte) [][]byte {
			if frame[0]&0xF0 != first&0xF0 {
				return [][]byte{frame}
			}
			return change(frame)
		}
	}
}

func twice(frame []byte) [][]byte { return [][]byte{frame, frame} }

// onPublish changes each PUBLISH to the client.
func onPublish(change func(*publish)) func() func([]byte) [][]byte {
	return each(firstPublish, func(frame []byte) [][]byte {
		p, _ := parsePublish(frame)
		change(&p)
		return [][]byte{p.packet()}
	})
}

// onIncoming changes each PUBLISH to the broker.
func onIncoming(change func(*publish)) func() func([]byte) (pass, answer [][]byte) {
	return func() func([]byte) (pass, answer [][]byte) {
		return func(frame []byte) (pass, answer [][]byte) {
			if frame[0]&0xF0 == firstPublish {
				p, _ := parsePublish(frame)
				change(&p)
				frame = p.packet()
			}
			return [][]byte{frame}, nil
		}
	}
}

// overlooks drops the packets of one type on their way to the broker.
func overlooks(first byte) func() func([]byte) (pass, answer [][]byte) {
	return func() func([]byte) (pass, answer [][]byte) {
		return func(frame []byte) (pass, answer [][]byte) {
			if frame[0] == first {
				return nil, nil
			}
			return [][]byte{frame}, nil
		}
	}
}

// unsubscribesNothing answers UNSUBSCRIBE without having passed it on.
func unsubscribesNothing() func([]byte) (pass, answer [][]byte) {
	return func(frame []byte) (pass, answer [][]byte) {
		if frame[0] != firstUnsubscribe {
			return [][]byte{frame}, nil
		}
		id := frame[1+len(remainingLength(len(frame)-2)):]
		return nil, [][]byte{acknowledge(firstUnsuback, binary.BigEndian.Uint16(id))}
	}
}

// noKeepAlive sets the Keep Alive of each CONNECT to 0.
func noKeepAlive() func([]byte) (pass, answer [][]byte) {
	return func(frame []byte) (pass, answer [][]byte) {
		if frame[0] == firstConnect {
			copy(frame[bytes.Index(frame, []byte("MQTT"))+6:], "\x00\x00")
		}
		return [][]byte{frame}, nil
	}
}

// nextIdentifier adds one to the Packet Identifier of each acknowledgement.
func nextIdentifier() func([]byte) [][]byte {
	return func(frame []byte) [][]byte {
		switch frame[0] {
		case firstPuback, firstPubrec, firstPubcomp, firstSuback, firstUnsuback:
			binary.BigEndian.PutUint16(frame[2:], binary.BigEndian.Uint16(frame[2:])+1)
		}
		return [][]byte{frame}
	}
}

// pairsSwapped holds every other packet of one type back until the next has passed.
func pairsSwapped(first byte) func() func([]byte) [][]byte {
	return func() func([]byte) [][]byte {
		var held []byte
		return func(frame []byte) [][]byte {
			switch {
			case frame[0]&0xF0 != first&0xF0:
				return [][]byte{frame}
			case held == nil:
				held = frame
				return nil
			}
			pair := [][]byte{frame, held}
			held = nil
			return pair
		}
	}
}

// cleanSession sets the flag in each CONNECT.
func cleanSession(clean bool) func() func([]byte) (pass, answer [][]byte) {
	return func() func([]byte) (pass, answer [][]byte) {
		return func(frame []byte) (pass, answer [][]byte) {
			if frame[0] == firstConnect {
				flags := &frame[bytes.Index(frame, []byte("MQTT"))+5]
				*flags &^= flagCleanSession
				if clean {
					*flags |= flagCleanSession
				}
			}
			return [][]byte{frame}, nil
		}
	}
}

// forgetsIdentifiers passes a QoS 2 PUBLISH with DUP on as another message, and answers it itself.
func forgetsIdentifiers() func([]byte) (pass, answer [][]byte) {
	return func(frame []byte) (pass, answer [][]byte) {
		if frame[0] != firstPublish|2<<1|0x08 {
			return [][]byte{frame}, nil
		}
		p, _ := parsePublish(frame)
		answer = [][]byte{acknowledge(firstPubrec, p.id)}
		p.dup, p.qos = false, 0
		return [][]byte{p.packet()}, answer
	}
}

func everyThirdLost() func([]byte) [][]byte {
	count := 0
	return func(frame []byte) [][]byte {
		if frame[0]&0xF0 == firstPublish {
			if count++; count%3 == 0 {
				return nil
			}
		}
		return [][]byte{frame}
	}
}
