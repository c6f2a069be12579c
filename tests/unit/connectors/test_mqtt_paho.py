"""What a broker sends, however it is cut."""

from __future__ import annotations

import random
import struct
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from streamflow_connectors._mqtt_paho import Packet, take_messages, user_properties


class Client:
    """The parts of paho's client that reading touches."""

    def __init__(self, data: bytes, rng: random.Random | None = None) -> None:
        self._sock = SimpleNamespace(setsockopt=lambda *_: None)
        self._msgtime_mutex, self._in_packet = threading.Lock(), {}
        self._rest, self._rng = data, rng
        self.others: list[tuple[int, bytes]] = []

    def _sock_recv(self, size: int) -> bytes:
        if not self._rest:
            raise BlockingIOError
        size = self._rng.choice([1, 2, 3, 50, size]) if self._rng else size
        chunk, self._rest = self._rest[:size], self._rest[size:]
        return chunk

    def _packet_handle(self) -> MQTTErrorCode:
        got: Any = self._in_packet
        self.others.append((got["command"], bytes(got["packet"])))
        return MQTTErrorCode.MQTT_ERR_SUCCESS


def taken(client: Any, *, new: bool = True) -> tuple[list[Packet], MQTTErrorCode]:
    """All messages, and what reading said at last."""
    out: list[Packet] = []
    take_messages(client, out.append, new=new)
    while (code := client._packet_read()) == MQTTErrorCode.MQTT_ERR_SUCCESS:
        pass
    return out, code


def size_of(body: int) -> bytes:
    out = bytearray()
    while True:
        body, digit = divmod(body, 128)
        out.append(digit | (128 if body else 0))
        if not body:
            return bytes(out)


def publish(packet: Packet, *, new: bool = True) -> bytes:
    """A message on the wire."""
    body = struct.pack("!H", len(packet.topic)) + packet.topic
    body += struct.pack("!H", packet.mid) if packet.qos else b""
    body += (packet.properties or b"\0") if new else b""
    body += packet.payload
    return bytes([0x30 | packet.qos << 1]) + size_of(len(body)) + body


def with_id(id_: str) -> bytes:
    properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.UserProperty = ("id", id_)
    return bytes(properties.pack())


MESSAGES = [
    Packet(b"a/b", b"", 0, 0),
    Packet(b"a/b", b"x", 1, 1),
    Packet("ä/\xff".encode(), b"y" * 127, 65_535, 2, with_id("7")),
    Packet(b"a/\xff", b"z" * 20_000, 258, 1, with_id("long" * 50)),
    Packet(b"a/b", b"w" * 300_000, 3, 1),
]


@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_messages_come_whole_and_other_packets_go_to_paho(seed: int, new: bool) -> None:
    messages = MESSAGES if new else [m._replace(properties=b"") for m in MESSAGES]
    data = b"".join(publish(m, new=new) + b"\xd0\0\x90\x03\0\x01\x01" for m in messages)
    client = Client(data, random.Random(seed) if seed else None)
    assert taken(client, new=new) == (messages, MQTTErrorCode.MQTT_ERR_AGAIN)
    assert client.others == [(0xD0, b""), (0x90, b"\0\x01\x01")] * len(messages)


@pytest.mark.parametrize(
    "wrong",
    [b"\x32\xff\xff\xff\xff\x01", b"\x32\x01\0", b"\x30\x05\0\x09a/b", b"\x32\x04\0\x01a\0"],
    ids=["a size of five bytes", "no topic", "a topic cut off", "an id cut off"],
)
def test_what_is_no_message_breaks_the_connection(wrong: bytes) -> None:
    data = publish(MESSAGES[1]) + wrong
    assert taken(Client(data)) == (MESSAGES[1:2], MQTTErrorCode.MQTT_ERR_PROTOCOL)


def test_user_properties() -> None:
    assert user_properties(with_id("7")) == [("id", "7")]
    assert user_properties(b"") == user_properties(b"\x09\x26\0\x09id") == []
