"""What publish.py and subscribe.py share: a client of Paho Python 1.6 with the options of a test."""
import os

import paho.mqtt.client as mqtt


def new_client(connection):
    """Returns a client that is not connected yet.

    A persistent one has Clean Session 0 and connects again when its connection is lost; any other
    one ends the program then.
    """
    persistent = connection["persistent"]
    client = mqtt.Client(connection["clientId"], clean_session=not persistent, protocol=connection["version"])
    if will := connection.get("will"):
        client.will_set(will["topic"], will["payload"], will["qos"], will["retain"] == 1)
    if not persistent:
        client.on_disconnect = exit_when_lost
    return client


def connect(client, connection):
    """Connects and starts the thread that reads, writes and calls back."""
    client.connect(connection["host"], int(connection["port"]), connection["keepAliveSeconds"])
    client.loop_start()


def exit_when_lost(client, userdata, code):
    if code != 0:
        os._exit(1)
