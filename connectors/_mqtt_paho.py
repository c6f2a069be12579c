"""What is needed of the paho client below aiomqtt beyond its public names; kept in this one place.

paho reads a packet in three pieces or more, each with a call of the system; it makes an object with
a lock for each message, and acknowledges each by itself. aiomqtt hands messages over through a
queue of its own and acknowledges them at once; paho's manual acknowledgement leaves out QoS 2,
whose PUBREC it sends before anybody has seen the message. Here the socket is read as far as it has
come, messages are taken out of that, and no acknowledgement goes out by itself.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from paho.mqtt import MQTTException
from paho.mqtt.client import Client, time_func
from paho.mqtt.enums import LogLevel, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

CHUNK = 1 << 16
"""Bytes that are read at a time."""
PUBLISH, PUBACK, PUBREC = 0x30, 0x40, 0x50
MALFORMED = (IndexError, KeyError, ValueError, struct.error, MQTTException)
"""What is raised for a packet that is none."""
_QUICK = getattr(socket, "TCP_QUICKACK", None)
"""A broker that sends by Nagle's algorithm waits for TCP's own acknowledgement, which Linux delays
by up to 40 ms where no data goes back: to a source none goes back until an epoch is durable, and a
sink that waits for confirmations sends none."""
_ANSWER = struct.Struct("!BBH").pack


class Packet(NamedTuple):
    """A message as it came; `properties` are those of MQTT 5, as bytes."""

    topic: bytes
    payload: bytes
    mid: int
    qos: int
    properties: bytes = b""


def take_messages(client: Client, take: Callable[[Packet], None], *, new: bool) -> None:
    """Give every message to `take` when it comes, whatever its QoS, and acknowledge none.

    `new` is MQTT 5.
    """
    raw: Any = client
    raw._packet_read = _Stream(client, take, new).read


def answer_quickly(client: Client) -> None:
    """Let a broker that sends by Nagle's algorithm not wait for what it sends us."""
    raw: Any = client
    read = raw._packet_read

    def quick() -> MQTTErrorCode:
        code: MQTTErrorCode = read()
        _quick(raw)
        return code

    raw._packet_read = quick


def acknowledge(client: Client, messages: Iterable[tuple[int, int]]) -> None:
    """Acknowledge messages, each by its id and its QoS, in order."""
    answers = [_ANSWER(PUBACK if qos == 1 else PUBREC, 2, mid) for mid, qos in messages]
    raw: Any = client
    raw._packet_queue(PUBACK, b"".join(answers), 0, 0)


def user_properties(properties: bytes) -> list[tuple[str, str]]:
    """The user properties of a message; none if they cannot be read."""
    if not properties:
        return []
    found: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    try:
        found.unpack(properties)
    except MALFORMED:
        return []
    return list(getattr(found, "UserProperty", ()))


class _Stream:
    """The bytes that a broker sends, packet by packet."""

    def __init__(self, client: Client, take: Callable[[Packet], None], new: bool) -> None:
        self._raw: Any = client
        self._take, self._new = take, new
        self._begun = bytearray()
        """The beginning of a packet that has not come whole."""
        self._wanted = 0
        """So many bytes it has at least."""

    def read(self) -> MQTTErrorCode:
        """What has come, in place of paho's own reading of one packet."""
        raw = self._raw
        try:
            chunk = raw._sock_recv(CHUNK)
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_AGAIN
        except OSError as error:  # what TLS was told stands in its words
            raw._easy_log(LogLevel.MQTT_LOG_ERR, "failed to receive on socket: %s", error)
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        if not chunk:
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        _quick(raw)
        with raw._msgtime_mutex:
            raw._last_bytes_received = time_func()
        if self._begun:
            self._begun += chunk
            if len(self._begun) < self._wanted:
                return MQTTErrorCode.MQTT_ERR_SUCCESS
            chunk = bytes(self._begun)
        try:
            return self._packets(chunk)
        except MALFORMED:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL

    def _packets(self, data: bytes) -> MQTTErrorCode:
        at, end = 0, len(data)
        self._wanted = 2
        while at + 2 <= end:
            size, body = data[at + 1], at + 2
            if size > 127:
                found = _varint(data, at + 1, end)
                if found is None:
                    break
                size, body = found
            stop = body + size
            if stop > end:
                self._wanted = stop - at
                break
            if data[at] & 0xF0 == PUBLISH:
                self._take(self._message(data[at], data[body:stop]))
            else:
                code = self._other(data[at], data[body:stop])
                if code > 0 or self._raw._sock is None:
                    return code
            at = stop
        self._begun = bytearray(data[at:])
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _message(self, command: int, body: bytes) -> Packet:
        qos = (command >> 1) & 3
        at = 2 + (body[0] << 8) + body[1]
        if at > len(body):
            raise IndexError("the topic is cut off")
        topic, mid, properties = body[2:at], 0, b""
        if qos:
            mid = (body[at] << 8) + body[at + 1]
            at += 2
        if self._new:
            first, size = at, body[at]
            at += 1
            if size:
                size, at = _varint(body, first, len(body)) or (0, at)
                at += size
                properties = body[first:at]
        return Packet(topic, body[at:], mid, qos, properties)

    def _other(self, command: int, body: bytes) -> MQTTErrorCode:
        """Any other packet is paho's."""
        size = len(body)
        self._raw._in_packet |= {"command": command, "remaining_length": size, "pos": 0}
        self._raw._in_packet["packet"] = bytearray(body)
        code: MQTTErrorCode = self._raw._packet_handle()
        return code


def _quick(raw: Any) -> None:
    if _QUICK is not None and raw._sock is not None:
        with suppress(OSError):
            raw._sock.setsockopt(socket.IPPROTO_TCP, _QUICK, 1)  # it holds for one answer


def _varint(data: bytes, at: int, end: int) -> tuple[int, int] | None:
    """A number of up to four bytes, and where what follows it begins; None if it is not whole."""
    value = 0
    for number in range(4):
        if at + number >= end:
            return None
        byte = data[at + number]
        value |= (byte & 127) << (7 * number)
        if byte < 128:
            return value, at + number + 1
    raise IndexError("a length of more than four bytes")
