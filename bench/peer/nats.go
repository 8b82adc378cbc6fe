package peer

import "context"

// natsConfig is the defaults: MQTT needs JetStream and a server name. Port -1 of NATS' own protocol is any free one.
// Neither no_fast_producer_stall nor disable_sublist_cache made a difference that could be measured.
const natsConfig = `server_name: peer
listen: "127.0.0.1:-1"
jetstream { store_dir: "{dir}/jetstream" }
mqtt { listen: "127.0.0.1:{port}" }
`

func (f *finder) nats(ctx context.Context) (Peer, error) {
	path, err := f.build(ctx, natsRecipe)
	if err != nil {
		return Peer{}, err
	}
	return Peer{
		Title:   "nats-server",
		Version: f.version(ctx, "nats-server: ", path, "-v"),
		Command: []string{path, "-c", configFile},
		Config:  natsConfig,
		Settings: "Its defaults, with JetStream on disk because MQTT needs it; QoS 0 does not touch it, QoS 1 and 2 pass through it. " +
			"At most 1,024 messages are in flight to a subscription (max_ack_pending). Without its stalling of fast " +
			"producers, or its cache of matches, it is no faster.",
	}, nil
}
