package conformance

import "time"

func disconnectCases() []testCase {
	return []testCase{
		{rule: "section-3.14.4", name: "the Server closes the connection", run: func(t *trial) {
			c := t.client()
			c.leave()
		}},
		{rule: "section-3.14.4", name: "what comes after DISCONNECT is not processed", run: func(t *trial) {
			watcher := t.subscriber(t.topic("#"))
			c := t.client()
			c.trySend(disconnect, publish{topic: t.topic("a"), payload: "late"}.packet())
			c.expectClosed("DISCONNECT")
			time.Sleep(grace)
			watcher.expectSilence(t.client())
		}},
		{rule: "section-3.14.4", name: "what came before DISCONNECT is delivered", run: func(t *trial) {
			watcher := t.subscriber(t.topic("a"))
			c := t.client()
			c.trySend(publish{topic: t.topic("a"), payload: "last"}.packet(), disconnect)
			c.drop()
			watcher.expectPublish(publish{topic: t.topic("a"), payload: "last"})
		}},
	}
}
