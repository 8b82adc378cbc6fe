"""Subscribes, as mosquitto_sub does, and prints what it sees as one JSON object per line:

    {"granted": [0], "sessionPresent": false}   the return codes of the SUBACK; none without filters
    {"message": {...}}                          a PUBLISH
    {"lost": true}                              the connection ended

A connection that resumes a session does not subscribe again. SIGTERM ends the program with a DISCONNECT.

    subscribe.py '{"connection": {...}, "filters": ["a/#"], "qos": 0}'
"""
import json
import signal
import sys

from options import connect, exit_when_lost, new_client

arguments = json.loads(sys.argv[1])
connection, filters, qos = arguments["connection"], arguments["filters"], arguments["qos"]
session = {"present": False}


def say(value):
    print(json.dumps(value), flush=True)


def on_connect(client, userdata, flags, code):
    if code != 0:
        sys.exit(f"CONNACK with return code {code}")
    session["present"] = flags["session present"] == 1
    if filters and not session["present"]:
        client.subscribe([(filter, qos) for filter in filters])
    else:
        on_subscribe(client, userdata, 0, ())


def on_subscribe(client, userdata, identifier, granted):
    say({"granted": list(granted), "sessionPresent": session["present"]})


def on_message(client, userdata, message):
    say({"message": {
        "topic": message.topic,
        "payload": message.payload.decode(),
        "qos": message.qos,
        "retain": int(message.retain),
    }})


def on_disconnect(client, userdata, code):
    if code != 0:
        say({"lost": True})
    if not connection["persistent"]:
        exit_when_lost(client, userdata, code)


client = new_client(connection)
client.on_connect, client.on_subscribe = on_connect, on_subscribe
client.on_message, client.on_disconnect = on_message, on_disconnect
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # in the client's thread too
connect(client, connection)
signal.sigwait({signal.SIGTERM})
client.disconnect()
client.loop_stop()
