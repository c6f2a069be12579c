"""What is needed of the paho client below aiomqtt beyond its public names; kept in this one place.

aiomqtt hands messages over through a queue of its own and acknowledges them at once; paho's manual
acknowledgement leaves out QoS 2, whose PUBREC it sends before anybody has seen the message. Here
no acknowledgement goes out by itself, and a message is handed over when it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode


def hold_acknowledgements(client: Client, take: Callable[[MQTTMessage], None]) -> None:
    """Give every message to `take` when it comes, whatever its QoS, and acknowledge none."""
    raw: Any = client
    handle, waiting = raw._handle_publish, raw._in_messages

    def nothing(_mid: int) -> MQTTErrorCode:
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def publish() -> MQTTErrorCode:
        result: MQTTErrorCode = handle()
        while waiting:  # of QoS 2: paho would keep it until the broker releases it
            take(waiting.popitem()[1])
        return result

    raw._send_puback = raw._send_pubrec = nothing
    raw._handle_publish = publish
    raw.on_message = lambda _client, _data, message: take(message)


def acknowledge(client: Client, messages: Iterable[tuple[int, int]]) -> None:
    """Acknowledge messages, each by its id and its QoS, in order."""
    raw: Any = client
    for mid, qos in messages:
        (Client._send_puback if qos == 1 else Client._send_pubrec)(raw, mid)


def topic_of(message: MQTTMessage) -> bytes:
    """The topic's bytes: paho's own `topic` raises where they are not UTF-8."""
    topic: bytes = message._topic
    return topic
