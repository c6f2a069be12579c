"""A client of aiomqtt as a source, a sink or a probe needs it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any

import aiomqtt
import orjson
from aiomqtt import MqttError, ProtocolVersion, Will
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from streamflow_connectors._mqtt_broker import CLOSED, Broker

PATIENCE = 10.0
"""Seconds for an answer of the broker."""

Accepted = Callable[[bool, Mapping[str, Any]], None]
"""Told whether the broker knows the session, and what it said of its limits (MQTT 5)."""


def make_client(
    broker: Broker,
    client_id: str | None,
    accepted: Accepted,
    words: LastWords,
    *,
    connect: Mapping[str, int] | None = None,
    persistent: bool = False,
    will: bool = False,
) -> aiomqtt.Client:
    """A client that is not connected yet; FlowError if a secret or a certificate is not there.

    Parameters
    ----------
    client_id
        None lets the broker choose one.
    connect
        Properties of CONNECT, for MQTT 5.
    persistent
        Whether the broker is to keep the session.
    will
        Whether the broker's `will` is to be left with it.
    """
    new = broker.version == 5
    properties: Any = Properties(PacketTypes.CONNECT) if new else None  # type: ignore[no-untyped-call]
    for name, value in (connect or {}).items() if new else ():
        setattr(properties, name, value)
    left = Will(broker.will, status(False), 1, retain=True) if will and broker.will else None
    password = broker.password()
    client = aiomqtt.Client(
        *broker.address,
        # A password without a user: MQTT 3.1.1 has no such thing.
        username=broker.user if password is None else broker.user or "",
        password=password,
        logger=words.logger,
        identifier=client_id,
        protocol=ProtocolVersion.V5 if new else ProtocolVersion.V311,
        will=left,
        clean_session=None if new else not persistent,
        clean_start=not persistent if new else MQTT_CLEAN_START_FIRST_ONLY,
        timeout=PATIENCE,
        keepalive=broker.alive,
        properties=properties,
        tls_context=broker.context(),
        socket_options=[(IPPROTO_TCP, TCP_NODELAY, 1)],
    )
    _listen(client, accepted)
    return client


def _listen(client: aiomqtt.Client, accepted: Accepted) -> None:
    raw: Any = client._client
    answered, ended = raw.on_connect, raw.on_disconnect

    def on_connect(paho: Any, data: Any, flags: Any, code: Any, properties: Any) -> None:
        if not code.is_failure:
            accepted(flags.session_present, properties.json() if properties else {})
        answered(paho, data, flags, code, properties)

    def on_disconnect(paho: Any, data: Any, flags: Any, code: Any, properties: Any) -> None:
        if not client._connected.done():  # aiomqtt would wait for an answer all the same
            client._connected.set_exception(MqttError(CLOSED))
        ended(paho, data, flags, code, properties)

    raw.on_connect, raw.on_disconnect = on_connect, on_disconnect


def status(online: bool) -> bytes:
    """What the will's topic says."""
    return orjson.dumps({"online": online})


class LastWords(logging.Handler):
    """Keeps what paho said last: why TLS failed it only tells its log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""
        self.logger = logging.Logger("paho", logging.WARNING)
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Remember it."""
        self.text = record.getMessage()
