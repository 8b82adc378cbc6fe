package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// appendixB counts the normative statements of each section, as Appendix B of MQTT 3.1.1 lists them.
var appendixB = []struct {
	section    string
	statements int
}{
	{"1.5.3", 3}, {"2.2.2", 2}, {"2.3.1", 7},
	{"3.1.0", 2}, {"3.1.2", 24}, {"3.1.3", 11}, {"3.1.4", 5}, {"3.2.0", 1}, {"3.2.2", 6},
	{"3.3.1", 12}, {"3.3.2", 3}, {"3.3.4", 1}, {"3.3.5", 2}, {"3.6.1", 1},
	{"3.8.1", 1}, {"3.8.3", 4}, {"3.8.4", 6}, {"3.9.3", 2},
	{"3.10.1", 1}, {"3.10.3", 2}, {"3.10.4", 6}, {"3.12.4", 1}, {"3.14.1", 1}, {"3.14.4", 3},
	{"4.1.0", 2}, {"4.3.1", 1}, {"4.3.2", 2}, {"4.3.3", 2}, {"4.4.0", 1}, {"4.5.0", 2}, {"4.6.0", 6},
	{"4.7.1", 3}, {"4.7.2", 1}, {"4.7.3", 4}, {"4.8.0", 2},
	{"6.0.0", 4}, {"7.0.0", 2}, {"7.1.1", 1}, {"7.1.2", 1},
}

func TestTableListsEveryStatementOnce(t *testing.T) {
	var want, got []string
	for _, s := range appendixB {
		for i := range s.statements {
			want = append(want, fmt.Sprintf("MQTT-%s-%d", s.section, i+1))
		}
	}
	for _, s := range statements {
		got = append(got, s.number)
		assert.NotEmpty(t, s.says, s.number)
	}
	assert.Equal(t, want, got)
	assert.Len(t, got, 141)
}

func TestEachTestedStatementHasACase(t *testing.T) {
	exercised := map[string]bool{}
	for _, c := range allCases() {
		for _, rule := range append([]string{c.rule}, c.also...) {
			exercised[rule] = true
		}
	}
	for _, s := range statements {
		if s.how == tested {
			assert.True(t, exercised[s.number], "%s is said to be tested and has no case", s.number)
			continue
		}
		assert.False(t, exercised[s.number], "%s has a case and is said not to be tested", s.number)
		assert.NotEmpty(t, s.how.why, "why %s is not tested", s.number)
	}
}

func TestNothingIsSkippedForABrokerThatCanDoAll(t *testing.T) {
	able := Target{
		MaxQoS: 2, PersistentSessions: true, MaxInflight: 20, MaxPacketBytes: 1 << 20, ConnectTimeout: time.Second,
		Restart: func() error { return nil },
	}
	for _, c := range allCases() {
		assert.Empty(t, c.needs.lacks(able), c.fullName())
	}
}

func TestCasesNameKnownRulesAndAreUnique(t *testing.T) {
	var names []string
	for _, c := range allCases() {
		require.NotNil(t, c.run, c.fullName())
		require.NotEmpty(t, c.name, c.rule)
		assert.Equal(t, 1, strings.Count(c.fullName(), "/"), "%q: one level below its rule", c.fullName())
		for _, rule := range append([]string{c.rule}, c.also...) {
			assert.NotPanics(t, func() { says(rule) }, c.fullName())
		}
		names = append(names, c.fullName())
	}
	slices.Sort(names)
	assert.Len(t, slices.Compact(slices.Clone(names)), len(names), "two cases have the same name")
	for section := range sections {
		has := slices.ContainsFunc(allCases(), func(c testCase) bool { return c.rule == section })
		assert.True(t, has, "%s has no case", section)
	}
}
