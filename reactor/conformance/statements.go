package conformance

import "fmt"

// statement is one normative statement of MQTT 3.1.1.
type statement struct {
	number string // as in Appendix B, in its regular form: "[MQTT-3.1.2.7]" and "[MQTT-3-8.3-4]" are misprints there
	how    treatment
	says   string // the rule in brief, in our words
}

// treatment says how the suite deals with a statement. The zero value is a case, or more, that holds a broker to it.
type treatment struct {
	kind string // of reason; empty when there are cases
	why  string // in particular
}

// tested: at least one case holds a broker to it. Where a broker may lack what the case needs, the case says so.
var tested treatment

// clientsDuty: it binds Clients; why a Server cannot be held to it.
func clientsDuty(why string) treatment { return treatment{"a Client's duty", why} }

// notObservable: no exchange with a Server can show a breach.
func notObservable(why string) treatment { return treatment{"not observable", why} }

// needsWebSocket: it speaks of a transport that the suite does not use.
func needsWebSocket(why string) treatment { return treatment{"needs WebSocket", why} }

// statements lists Appendix B of MQTT 3.1.1 (OASIS Standard, 29 October 2014) in its order.
var statements = []statement{
	{"MQTT-1.5.3-1", tested, "ill-formed UTF-8, surrogates included, closes the connection"},
	{"MQTT-1.5.3-2", tested, "U+0000 in a string closes the connection"},
	{"MQTT-1.5.3-3", tested, "0xEF 0xBB 0xBF is U+FEFF anywhere in a string and is never stripped"},
	{"MQTT-2.2.2-1", tested, "reserved flag bits have the listed values"},
	{"MQTT-2.2.2-2", tested, "invalid flags close the connection"},
	{"MQTT-2.3.1-1", tested, "SUBSCRIBE, UNSUBSCRIBE and PUBLISH above QoS 0 have a Packet Identifier that is not zero"},
	{"MQTT-2.3.1-2", clientsDuty("the Server's own identifiers are those of [MQTT-2.3.1-4]"),
		"a Client assigns an unused Packet Identifier to each new packet"},
	{"MQTT-2.3.1-3", clientsDuty("a Server takes a repetition with another identifier for a new packet"),
		"a Client re-sends a packet with the same Packet Identifier"},
	{"MQTT-2.3.1-4", tested, "the same holds for a Server that sends PUBLISH above QoS 0"},
	{"MQTT-2.3.1-5", tested, "a QoS 0 PUBLISH has no Packet Identifier"},
	{"MQTT-2.3.1-6", tested, "PUBACK, PUBREC and PUBREL carry the PUBLISH's Packet Identifier"},
	{"MQTT-2.3.1-7", tested, "SUBACK and UNSUBACK carry the request's Packet Identifier"},
	{"MQTT-3.1.0-1", tested, "the first packet from a Client is CONNECT"},
	{"MQTT-3.1.0-2", tested, "a second CONNECT is a protocol violation and disconnects the Client"},
	{"MQTT-3.1.2-1", tested, "a CONNECT with another protocol name is not processed as MQTT 3.1.1"},
	{"MQTT-3.1.2-2", tested, "an unsupported Protocol Level gets CONNACK 0x01 and a closed connection"},
	{"MQTT-3.1.2-3", tested, "a CONNECT whose reserved flag is set disconnects the Client"},
	{"MQTT-3.1.2-4", tested, "Clean Session 0 resumes the Session, which is stored after disconnection"},
	{"MQTT-3.1.2-5", tested, "QoS 1 and 2 messages are stored for a disconnected Session"},
	{"MQTT-3.1.2-6", tested, "Clean Session 1 discards any previous Session and its state is not reused"},
	{"MQTT-3.1.2-7", tested, "retained messages outlive the Session"},
	{"MQTT-3.1.2-8", tested, "the Will is published when the connection closes, unless DISCONNECT deleted it"},
	{"MQTT-3.1.2-9", tested, "Will Flag 1: Will Topic and Will Message are present"},
	{"MQTT-3.1.2-10", tested, "the Will is removed once published or on DISCONNECT"},
	{"MQTT-3.1.2-11", tested, "Will Flag 0: no Will QoS, no Will Retain, no Will fields"},
	{"MQTT-3.1.2-12", tested, "Will Flag 0: no Will is published"},
	{"MQTT-3.1.2-13", tested, "Will Flag 0: Will QoS is 0"},
	{"MQTT-3.1.2-14", tested, "Will QoS is not 3"},
	{"MQTT-3.1.2-15", tested, "Will Flag 0: Will Retain is 0"},
	{"MQTT-3.1.2-16", tested, "Will Retain 0: the Will is not retained"},
	{"MQTT-3.1.2-17", tested, "Will Retain 1: the Will is retained"},
	{"MQTT-3.1.2-18", tested, "User Name Flag 0: no user name in the payload"},
	{"MQTT-3.1.2-19", tested, "User Name Flag 1: a user name in the payload"},
	{"MQTT-3.1.2-20", tested, "Password Flag 0: no password in the payload"},
	{"MQTT-3.1.2-21", tested, "Password Flag 1: a password in the payload"},
	{"MQTT-3.1.2-22", tested, "User Name Flag 0: Password Flag 0"},
	{"MQTT-3.1.2-23", clientsDuty("what a Server does about a breach is [MQTT-3.1.2-24]"),
		"a Client sends something, PINGREQ at least, within each Keep Alive"},
	{"MQTT-3.1.2-24", tested, "no packet for one and a half Keep Alives disconnects as if the network had failed"},
	{"MQTT-3.1.3-1", tested, "payload order: Client Identifier, Will Topic, Will Message, User Name, Password"},
	{"MQTT-3.1.3-2", tested, "the Client Identifier identifies the state that both sides hold"},
	{"MQTT-3.1.3-3", tested, "the Client Identifier is present and first"},
	{"MQTT-3.1.3-4", tested, "the Client Identifier is a UTF-8 string"},
	{"MQTT-3.1.3-5", tested, "identifiers of 1 to 23 letters and digits are allowed"},
	{"MQTT-3.1.3-6", tested, "a Server that allows an empty identifier assigns a unique one and goes on"},
	{"MQTT-3.1.3-7", tested, "an empty identifier comes with Clean Session 1"},
	{"MQTT-3.1.3-8", tested, "an empty identifier with Clean Session 0 gets CONNACK 0x02 and a closed connection"},
	{"MQTT-3.1.3-9", tested, "a rejected identifier gets CONNACK 0x02 and a closed connection"},
	{"MQTT-3.1.3-10", tested, "the Will Topic is a UTF-8 string"},
	{"MQTT-3.1.3-11", tested, "the User Name is a UTF-8 string"},
	{"MQTT-3.1.4-1", tested, "a CONNECT that does not conform closes the connection without CONNACK"},
	{"MQTT-3.1.4-2", tested, "a CONNECT with the identifier of a connected Client disconnects that Client"},
	{"MQTT-3.1.4-3", tested, "a valid CONNECT has its Clean Session processed"},
	{"MQTT-3.1.4-4", tested, "a valid CONNECT gets CONNACK with return code 0"},
	{"MQTT-3.1.4-5", tested, "nothing after a rejected CONNECT is processed"},
	{"MQTT-3.2.0-1", tested, "the first packet from the Server is CONNACK"},
	{"MQTT-3.2.2-1", tested, "Clean Session 1: Session Present 0"},
	{"MQTT-3.2.2-2", tested, "Clean Session 0 with a stored Session: Session Present 1"},
	{"MQTT-3.2.2-3", tested, "no stored Session: Session Present 0"},
	{"MQTT-3.2.2-4", tested, "a return code other than 0 comes with Session Present 0"},
	{"MQTT-3.2.2-5", tested, "a return code other than 0 is followed by a closed connection"},
	{"MQTT-3.2.2-6", tested, "no return code applies: close without CONNACK"},
	{"MQTT-3.3.1-1", tested, "DUP is 1 on a re-delivered PUBLISH"},
	{"MQTT-3.3.1-2", tested, "DUP is 0 on QoS 0"},
	{"MQTT-3.3.1-3", tested, "DUP of an incoming PUBLISH is not propagated"},
	{"MQTT-3.3.1-4", tested, "a PUBLISH with both QoS bits set closes the connection"},
	{"MQTT-3.3.1-5", tested, "a message with RETAIN is stored for future subscribers"},
	{"MQTT-3.3.1-6", tested, "a new subscription gets the last retained message of each matching topic"},
	{"MQTT-3.3.1-7", tested, "a QoS 0 message with RETAIN discards what was retained before"},
	{"MQTT-3.3.1-8", tested, "RETAIN is 1 when sent because of a new subscription"},
	{"MQTT-3.3.1-9", tested, "RETAIN is 0 when sent because of an established subscription"},
	{"MQTT-3.3.1-10", tested, "an empty retained message is delivered and clears what was retained"},
	{"MQTT-3.3.1-11", tested, "an empty retained message is not stored"},
	{"MQTT-3.3.1-12", tested, "a message without RETAIN neither stores nor replaces nor removes"},
	{"MQTT-3.3.2-1", tested, "the Topic Name is present, first, and a UTF-8 string"},
	{"MQTT-3.3.2-2", tested, "the Topic Name has no wildcards"},
	{"MQTT-3.3.2-3", tested, "the Topic Name sent to a subscriber matches its Topic Filter"},
	{"MQTT-3.3.4-1", tested, "QoS 0 gets no response, QoS 1 PUBACK, QoS 2 PUBREC"},
	{"MQTT-3.3.5-1", tested, "delivery respects the highest QoS of all matching subscriptions"},
	{"MQTT-3.3.5-2", tested, "a PUBLISH without authorization is acknowledged or closes the connection"},
	{"MQTT-3.6.1-1", tested, "flags of PUBREL other than 0010 close the connection"},
	{"MQTT-3.8.1-1", tested, "flags of SUBSCRIBE other than 0010 close the connection"},
	{"MQTT-3.8.3-1", tested, "Topic Filters of SUBSCRIBE are UTF-8 strings"},
	{"MQTT-3.8.3-2", tested, "a Server without wildcards rejects filters that have them"},
	{"MQTT-3.8.3-3", tested, "a SUBSCRIBE without a Topic Filter is a protocol violation"},
	{"MQTT-3.8.3-4", tested, "reserved bits or QoS 3 in the payload of SUBSCRIBE close the connection"},
	{"MQTT-3.8.4-1", tested, "SUBSCRIBE gets SUBACK"},
	{"MQTT-3.8.4-2", tested, "SUBACK has the Packet Identifier of its SUBSCRIBE"},
	{"MQTT-3.8.4-3", tested, "an identical Topic Filter replaces the subscription and re-sends retained messages"},
	{"MQTT-3.8.4-4", tested, "many Topic Filters count as many SUBSCRIBEs, with one SUBACK"},
	{"MQTT-3.8.4-5", tested, "SUBACK has a return code for each Topic Filter"},
	{"MQTT-3.8.4-6", tested, "messages are sent at the lower of the published and the granted QoS"},
	{"MQTT-3.9.3-1", tested, "return codes are in the order of the Topic Filters"},
	{"MQTT-3.9.3-2", tested, "return codes are 0x00, 0x01, 0x02 or 0x80"},
	{"MQTT-3.10.1-1", tested, "flags of UNSUBSCRIBE other than 0010 close the connection"},
	{"MQTT-3.10.3-1", tested, "Topic Filters of UNSUBSCRIBE are UTF-8 strings, packed contiguously"},
	{"MQTT-3.10.3-2", tested, "an UNSUBSCRIBE without a Topic Filter is a protocol violation"},
	{"MQTT-3.10.4-1", tested, "UNSUBSCRIBE deletes the subscription whose Topic Filter is the same, and no other"},
	{"MQTT-3.10.4-2", tested, "nothing new is sent for a deleted subscription"},
	{"MQTT-3.10.4-3", tested, "deliveries begun at QoS 1 and 2 are completed after UNSUBSCRIBE"},
	{"MQTT-3.10.4-4", tested, "UNSUBSCRIBE gets UNSUBACK with its Packet Identifier"},
	{"MQTT-3.10.4-5", tested, "UNSUBACK is sent even when nothing was deleted"},
	{"MQTT-3.10.4-6", tested, "many Topic Filters count as many UNSUBSCRIBEs, with one UNSUBACK"},
	{"MQTT-3.12.4-1", tested, "PINGREQ gets PINGRESP"},
	{"MQTT-3.14.1-1", tested, "reserved bits of DISCONNECT other than 0 disconnect the Client"},
	{"MQTT-3.14.4-1", clientsDuty("a Server that closes first is section 3.14.4"),
		"a Client closes the connection after DISCONNECT"},
	{"MQTT-3.14.4-2", clientsDuty("a Server that ignores what comes is section 3.14.4"),
		"a Client sends nothing after DISCONNECT"},
	{"MQTT-3.14.4-3", tested, "DISCONNECT discards the Will"},
	{"MQTT-4.1.0-1", tested, "Session state is stored for the whole Session"},
	{"MQTT-4.1.0-2", tested, "a Session lasts at least as long as its connection"},
	{"MQTT-4.3.1-1", tested, "QoS 0 is sent with QoS 0 and DUP 0"},
	{"MQTT-4.3.2-1", tested, "QoS 1 sender: unused Packet Identifier, DUP 0, unacknowledged until PUBACK"},
	{"MQTT-4.3.2-2", tested, "QoS 1 receiver: PUBACK; afterwards the identifier is a new publication, whatever DUP says"},
	{"MQTT-4.3.3-1", tested, "QoS 2 sender: PUBLISH until PUBREC, then PUBREL until PUBCOMP"},
	{"MQTT-4.3.3-2", tested, "QoS 2 receiver: PUBREC to each repetition, no duplicate onwards, PUBCOMP to PUBREL"},
	{"MQTT-4.4.0-1", tested, "unacknowledged PUBLISH and PUBREL are re-sent when a Session resumes"},
	{"MQTT-4.5.0-1", tested, "a message is added to the Session of each Client with a matching subscription"},
	{"MQTT-4.5.0-2", clientsDuty("what a Server does without acknowledgement is [MQTT-4.4.0-1]"),
		"a Client acknowledges each PUBLISH, whether or not it uses the message"},
	{"MQTT-4.6.0-1", tested, "messages are re-sent in the order in which they were sent"},
	{"MQTT-4.6.0-2", tested, "PUBACKs are in the order of the PUBLISHes (a Server must follow it by 4.6.0-6)"},
	{"MQTT-4.6.0-3", tested, "PUBRECs are in the order of the PUBLISHes (a Server must follow it by 4.6.0-6)"},
	{"MQTT-4.6.0-4", tested, "PUBRELs are in the order of the PUBRECs (a Server must follow it by 4.6.0-6)"},
	{"MQTT-4.6.0-5", tested, "every topic is an Ordered Topic by default"},
	{"MQTT-4.6.0-6", tested, "messages of one Client, topic and QoS reach consumers in their order"},
	{"MQTT-4.7.1-1", tested, "wildcards are for Topic Filters only"},
	{"MQTT-4.7.1-2", tested, "# stands alone or after a separator, and last"},
	{"MQTT-4.7.1-3", tested, "+ occupies an entire level, any level"},
	{"MQTT-4.7.2-1", tested, "a filter that begins with a wildcard does not match topics that begin with $"},
	{"MQTT-4.7.3-1", tested, "Topic Names and Topic Filters have at least one character"},
	{"MQTT-4.7.3-2", tested, "Topic Names and Topic Filters do not contain U+0000"},
	{"MQTT-4.7.3-3", notObservable("the two bytes of the length field express no more"),
		"Topic Names and Topic Filters have at most 65535 bytes: the length field holds no more"},
	{"MQTT-4.7.3-4", tested, "matching normalizes and substitutes nothing"},
	{"MQTT-4.8.0-1", tested, "a protocol violation closes the connection"},
	{"MQTT-4.8.0-2", notObservable("it takes a fault inside the Server, and no packet of a Client makes one"),
		"a Transient Error closes the connection"},
	{"MQTT-6.0.0-1", needsWebSocket("frames belong to a transport of its own"),
		"WebSocket frames are binary; others close the connection"},
	{"MQTT-6.0.0-2", needsWebSocket("the same for TCP segments is [MQTT-7.1.1-1]"),
		"packets need not be aligned to WebSocket frames"},
	{"MQTT-6.0.0-3", clientsDuty("it is part of the Client's HTTP request"),
		"a Client offers the WebSocket sub-protocol mqtt"},
	{"MQTT-6.0.0-4", needsWebSocket("it is part of the answer to the HTTP request"),
		"the Server selects the WebSocket sub-protocol mqtt"},
	{"MQTT-7.0.0-1", notObservable("a Server's own connections to others begin with it, not with a Client"),
		"a Server that connects to other Servers conforms as a Client too"},
	{"MQTT-7.0.0-2", tested, "no extension is required in order to interoperate"},
	{"MQTT-7.1.1-1", tested, "a Server supports a transport that is an ordered, lossless stream of bytes"},
	{"MQTT-7.1.2-1", clientsDuty("the Server's side is [MQTT-7.1.1-1]"),
		"a Client supports such a transport"},
}

// sections are rules of the text that have no number, and choices that the text leaves to a Server and mqttd made.
var sections = map[string]string{
	"section-2.2.3":         "Remaining Length has at most four bytes; every length below the Server's limit is taken",
	"section-3.1.2.2":       "MQTT 3.1 (MQIsdp, level 3) is served as well",
	"section-3.1.2.4-QoS-0": "what would be sent at QoS 0 is not stored for an absent Client; others store it",
	"section-4.1":           "Sessions and retained messages outlive a restart of the broker that stores them",
	"section-4.3":           "an acknowledgement of an unknown Packet Identifier changes nothing",
	"section-4.4":           "how many messages are sent to a Client that acknowledges none",
	"section-3.1.2.4":       "a Server without persistent Sessions accepts Clean Session 0",
	"section-3.1.3":         "user name and password are accepted where no authentication is set up",
	"section-3.1.4":         "a Client need not wait for CONNACK; a Server need not wait for ever for CONNECT",
	"section-3.3.1.3":       "a retained message is given to each subscriber, however it was published",
	"section-3.3.5":         "overlapping subscriptions deliver once",
	"section-3.14.4":        "a Server closes the connection on DISCONNECT if the Client has not",
	"section-4.7":           "examples of topic matching",
	"section-4.7.2":         "retained topics that begin with $ are hidden from a leading wildcard too",
	"section-4.3.3":         "a PUBREL for an unknown Packet Identifier gets PUBCOMP",
	"section-3.8.4":         "hundreds of Topic Filters in one SUBSCRIBE",
	"section-3.1.2.10":      "Keep Alive 0 turns the mechanism off",
	"section-3.1.2.5":       "Will Messages may be empty",
	"section-3.1.4-Will":    "a rejected or failed CONNECT has no Will",
}

// says returns the rule in brief.
func says(rule string) string {
	for _, s := range statements {
		if s.number == rule {
			return s.says
		}
	}
	if text, ok := sections[rule]; ok {
		return text
	}
	panic(fmt.Sprintf("conformance: %q is neither a statement nor a section", rule))
}
