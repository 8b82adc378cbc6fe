package peer

import (
	"errors"
	"strings"
	"unicode"
)

var (
	errQuote     = errors.New("a quote is not closed")
	errBackslash = errors.New("it ends in a backslash")
)

// splitWords splits a command line as a shell does, with nothing expanded: words end at white
// space; 'text' is literal; in "text" a backslash escapes only " and \; outside of quotes it
// escapes any character.
func splitWords(line string) ([]string, error) {
	var s splitter
	for _, r := range line {
		s.next(r)
	}
	switch {
	case s.escaped:
		return nil, errBackslash
	case s.quote != 0:
		return nil, errQuote
	}
	s.endWord()
	return s.words, nil
}

// splitter is the state between two characters.
type splitter struct {
	words   []string
	word    strings.Builder
	inWord  bool // also for a word that is empty so far, as in ''
	quote   rune // that is open; 0: none
	escaped bool // the character before was a backslash that escapes
}

func (s *splitter) next(r rune) {
	switch {
	case s.escaped:
		s.escape(r)
	case r == '\\' && s.quote != '\'':
		s.escaped, s.inWord = true, true
	case s.quote != 0 && r == s.quote:
		s.quote = 0
	case s.quote == 0 && (r == '\'' || r == '"'):
		s.quote, s.inWord = r, true
	case s.quote == 0 && unicode.IsSpace(r):
		s.endWord()
	default:
		s.inWord = true
		s.word.WriteRune(r)
	}
}

func (s *splitter) escape(r rune) {
	s.escaped = false
	if s.quote == '"' && r != '"' && r != '\\' {
		s.word.WriteByte('\\')
	}
	s.word.WriteRune(r)
}

func (s *splitter) endWord() {
	if s.inWord {
		s.words = append(s.words, s.word.String())
	}
	s.word.Reset()
	s.inWord = false
}
