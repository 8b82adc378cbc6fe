package peer

import (
	"fmt"
	"slices"
)

// custom returns a peer whose command line the user gave.
func custom(name string, words []string) (Peer, error) {
	path, err := program(words[0])
	if err != nil {
		return Peer{}, fmt.Errorf("no program %s: install it, or write its path", words[0])
	}
	command := slices.Clone(words)
	command[0] = path
	return Peer{
		Title:    name,
		Command:  command,
		Settings: "As its command line on this page says.",
	}, nil
}
