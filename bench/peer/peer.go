package peer

import (
	"strconv"
	"strings"
)

// Peer is a broker that is installed here and can be started.
type Peer struct {
	// Name is as given to Find, of NAME=COMMAND LINE only NAME: "mqttd:2", "mosquitto".
	Name string `json:"name"`
	// Title is for people: "mqttd, 2 loops", "mosquitto".
	Title string `json:"title"`
	// Version is what the program says of itself; empty when it says nothing.
	Version string `json:"version"`
	// Command is the program, its path absolute, and its arguments. {port} stands for the port,
	// {dir} for a directory of its own that is removed afterwards.
	Command []string `json:"command"`
	// Config is the text of the configuration file {dir}/config, with the same placeholders.
	// Empty: there is no such file.
	Config string `json:"config,omitempty"`
	// Settings says in one or two sentences why these are its best known settings, and how many messages above QoS 0 it has in
	// flight to a client.
	Settings string `json:"settings"`
	// Unable says of each Feature that it lacks why.
	Unable map[string]string `json:"unable,omitempty"`
}

// Features that a scenario may need and a peer may lack.
const (
	FeatureWildcards = "wildcards" // filters with + or a # below other levels
	FeatureQoS       = "qos"       // QoS 1 and 2, delivered as such
)

// Missing is a peer that was asked for and is not installed. It is named in the report.
type Missing struct {
	Name string `json:"name"`
	Why  string `json:"why"` // with the remedy
}

// Placeholders in Peer.Command and Peer.Config.
const (
	placeholderPort = "{port}"
	placeholderDir  = "{dir}"
)

// configFile is where Peer.Config is written to.
const configFile = placeholderDir + "/config"

// resolver puts a port and a directory in the placeholders' places.
func resolver(port int, dir string) *strings.Replacer {
	return strings.NewReplacer(placeholderPort, strconv.Itoa(port), placeholderDir, dir)
}
