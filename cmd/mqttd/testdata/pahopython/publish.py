"""Publishes the messages of standard input, a JSON array, in order over one connection.

It exits with 0 when each is complete at its QoS.

    publish.py '{"connection": {...}}' <messages.json
"""
import json
import queue
import sys

from options import connect, new_client

connection = json.loads(sys.argv[1])["connection"]
messages = json.load(sys.stdin)
connected, completed = queue.Queue(), queue.Queue()

client = new_client(connection)
client.on_connect = lambda client, userdata, flags, code: connected.put(code)
client.on_publish = lambda client, userdata, identifier: completed.put(identifier)
connect(client, connection)
if (code := connected.get()) != 0:
    sys.exit(f"CONNACK with return code {code}")
for message in messages:
    client.publish(message["topic"], message["payload"], message["qos"], message["retain"] == 1)
for _ in messages:
    completed.get()
client.disconnect()
client.loop_stop()
