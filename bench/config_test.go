package bench

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDefaultConfigIsValid(t *testing.T) {
	assert.NoError(t, DefaultConfig().Validate())
}

func TestConfigValidate(t *testing.T) {
	tests := map[string]struct {
		change func(c *Config)
		fault  string // "": valid
	}{
		"no host":                          {func(c *Config) { c.Host = "" }, "host is empty"},
		"port 0":                           {func(c *Config) { c.Port = 0 }, "port 0 "},
		"port 65536":                       {func(c *Config) { c.Port = 65536 }, "port 65536 "},
		"nobody":                           {func(c *Config) { c.Publishers, c.Subscribers = 0, 0 }, ""},
		"no publishers":                    {func(c *Config) { c.Publishers = 0 }, ""},
		"no publishers, but a rate":        {func(c *Config) { c.Publishers, c.RatePerSecond = 0, 1 }, "rate 1 needs a publisher"},
		"no subscribers, and a window":     {func(c *Config) { c.Subscribers = 0 }, "50 of 50 publishers have no subscriber"},
		"no subscribers in an open loop":   {func(c *Config) { c.Subscribers, c.RatePerSecond = 0, 1 }, ""},
		"fewer than no publishers":         {func(c *Config) { c.Publishers = -1 }, "publishers is -1"},
		"fewer than no subscribers":        {func(c *Config) { c.Subscribers = -1 }, "subscribers is -1"},
		"a source that is no address":      {func(c *Config) { c.Sources = []string{"eth0"} }, `source "eth0" is not an IP address`},
		"no connects":                      {func(c *Config) { c.Connects = 0 }, "connects is 0"},
		"a connect rate below 0":           {func(c *Config) { c.ConnectsPerSecond = -1 }, "connect rate -1"},
		"no topics":                        {func(c *Config) { c.Topics = 0 }, "topics is 0"},
		"topics without their index":       {func(c *Config) { c.Topics = 2 }, `2 topics need %j in the topic "bench/fanout"`},
		"more topics than can be kept":     {func(c *Config) { c.Topic, c.Topics = "b/%j", 20_001 }, "topics is 20001 for each of 50 clients"},
		"a sample interval of nothing":     {func(c *Config) { c.SampleInterval = 0 }, "sample interval 0s"},
		"more connections than ports":      {func(c *Config) { c.Subscribers = 60_000 }, "more than 60000 connections"},
		"a payload without its header":     {func(c *Config) { c.PayloadBytes = 23 }, "payload of 23 bytes"},
		"a payload of just its header":     {func(c *Config) { c.PayloadBytes = 24 }, ""},
		"a payload too large":              {func(c *Config) { c.PayloadBytes = 1<<20 + 1 }, "payload of 1048577 bytes"},
		"a rate below 0":                   {func(c *Config) { c.RatePerSecond = -1 }, "rate -1"},
		"a rate that is no number":         {func(c *Config) { c.RatePerSecond = math.NaN() }, "rate NaN"},
		"a window below one message each":  {func(c *Config) { c.Window = 49 }, "window of 49"},
		"any window in an open loop":       {func(c *Config) { c.Window, c.RatePerSecond = 0, 10 }, ""},
		"no duration":                      {func(c *Config) { c.Duration = 0 }, "duration 0s"},
		"no warm-up":                       {func(c *Config) { c.Warmup = 0 }, ""},
		"a warm-up below 0":                {func(c *Config) { c.Warmup = -time.Second }, "warmup -1s"},
		"QoS 2":                            {func(c *Config) { c.QoS = 2 }, ""},
		"QoS 3":                            {func(c *Config) { c.QoS = 3 }, "qos 3 is not within 0 to 2"},
		"a process below 0":                {func(c *Config) { c.PID = -1 }, "pid -1"},
		"no topic":                         {func(c *Config) { c.Topic = "" }, "topic is empty"},
		"a topic with a wildcard":          {func(c *Config) { c.Topic = "a/+" }, "holds a wildcard"},
		"a topic with a zero character":    {func(c *Config) { c.Topic = "a\x00" }, "not a legal MQTT string"},
		"a filter that matches":            {func(c *Config) { c.Filter = "bench/#" }, ""},
		"a filter with a misplaced #":      {func(c *Config) { c.Filter = "#/a" }, "misplaced wildcard"},
		"a filter with a misplaced +":      {func(c *Config) { c.Filter = "a+/b" }, "misplaced wildcard"},
		"a filter that matches nothing":    {func(c *Config) { c.Filter = "other" }, "50 of 50 publishers have no subscriber"},
		"the same in an open loop":         {func(c *Config) { c.Filter, c.RatePerSecond = "other", 10 }, ""},
		"fewer subscribers than topics":    {func(c *Config) { c.Topic, c.Subscribers = "b/%i", 49 }, "1 of 50 publishers have no subscriber"},
		"as many subscribers as topics":    {func(c *Config) { c.Topic = "b/%i" }, ""},
		"a name that is not an address":    {func(c *Config) { c.Host = "broker.example" }, ""},
		"an IPv6 address":                  {func(c *Config) { c.Host = "::1" }, ""},
		"a window for a million each, no!": {func(c *Config) { c.Window = 50_000_000 }, "window of 50000000"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := DefaultConfig()
			test.change(&c)
			err := c.Validate()
			if test.fault == "" {
				assert.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, ErrConfig)
			assert.ErrorContains(t, err, test.fault)
		})
	}
}

func TestConfigValidateReportsEveryFaultInOneLine(t *testing.T) {
	err := Config{QoS: 3, Filter: "a#"}.Validate()
	for _, fault := range []string{"host", "port", "connects", "payload", "duration", "qos", "topic", "filter"} {
		assert.ErrorContains(t, err, fault)
	}
	assert.NotContains(t, err.Error(), "\n")
}

func TestConfigSurvivesJSON(t *testing.T) {
	c := DefaultConfig()
	c.Scenario, c.Sources, c.Filter, c.ConnectPerMessage, c.Warmup = "x", []string{"127.0.0.2"}, "bench/#", true, 1500*time.Millisecond
	c.ConnectsPerSecond, c.RatePerSecond, c.QoS, c.PID, c.Topics, c.Persistent = 2.5, 0.1, 2, 7, 3, true
	text, err := json.Marshal(c)
	require.NoError(t, err)
	var read Config
	require.NoError(t, json.Unmarshal(text, &read))
	assert.Equal(t, c, read)
}
