package main

import (
	"regexp"
	"strings"
)

// variablePrefix begins the names of our variables. Two underscores stand for the dot between two levels of a key.
const variablePrefix = "MQTTD_"

// readEnvironment returns what the environment gives, in the order of settings. A variable with our prefix that means
// nothing is a fault: it is a name mistyped.
func readEnvironment(environment []string) (list []given, faults []fault) {
	texts, names := map[string]string{}, []string{}
	for _, entry := range environment {
		name, text, _ := strings.Cut(entry, "=")
		if _, twice := texts[name]; strings.HasPrefix(name, variablePrefix) && !twice { // the first counts, as for getenv
			texts[name] = text
			names = append(names, name)
		}
	}
	for _, s := range settings {
		if text, ok := texts[s.variable()]; ok {
			list = append(list, given{s, text, origin{source: fromEnvironment, name: s.variable()}})
		}
	}
	known := map[string]bool{}
	for _, g := range list {
		known[g.origin.name] = true
	}
	for _, name := range names {
		if !known[name] && !isServiceLink(name, texts[name]) {
			faults = append(faults, fault{origin{source: fromEnvironment, name: name},
				"unknown variable" + meantVariable(name)})
		}
	}
	return list, faults
}

// meantVariable returns what to say of the variable that was meant, if it can be told.
func meantVariable(name string) string {
	nearest, ok := closest(strings.TrimPrefix(name, variablePrefix), settings, func(s *setting) []string {
		return []string{strings.TrimPrefix(s.variable(), variablePrefix), flagWord(s)}
	})
	if !ok {
		return ""
	}
	return "; the closest one is " + nearest.variable()
}

// isServiceLink reports whether a variable is one of those that Kubernetes gives every container for a service whose
// name begins with mqttd: MQTTD_SERVICE_HOST, MQTTD_PORT=tcp://10.0.0.1:1883, MQTTD_PORT_1883_TCP_ADDR, and so on.
func isServiceLink(name, text string) bool {
	return serviceLink.MatchString(name) || strings.HasSuffix(name, "_PORT") && strings.Contains(text, "://")
}

var serviceLink = regexp.MustCompile(`_(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)
