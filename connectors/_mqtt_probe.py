"""Trying a broker for `check --connect`: as a client of its own, which leaves no trace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiomqtt
from streamflow_connectors._mqtt_broker import Broker, explain
from streamflow_connectors._mqtt_client import LastWords, make_client
from streamflow_connectors._mqtt_inbox import subscribe
from streamflow_connectors.mqtt import Publish, Topic

from streamflow.errors import ConnectorError

Limits = Mapping[str, Any]


def probe_source(source: Topic) -> str:
    """What the broker grants a source; shared topics are tried unshared, to take nothing away."""
    filters = source.filters
    plain = [f.split("/", 2)[2] if f.startswith("$share/") else f for f in filters]

    async def try_(client: aiomqtt.Client) -> None:
        await subscribe(client, source, plain)

    limits = asyncio.run(_connect(source, try_, {"SessionExpiryInterval": 0}))
    if plain != filters and limits.get("SharedSubscriptionAvailable", 1) == 0:
        raise ConnectorError(f"{source.place}: the broker does not share subscriptions")
    topics = "1 topic" if len(plain) == 1 else f"{len(plain)} topics"
    qos = min(limits.get("MaximumQoS", 2), source.qos)
    return f"{_speaks(source)} and grants {topics} with QoS {qos}"


def probe_sink(sink: Publish) -> str:
    """What the broker says of itself to a sink; nothing is published."""

    async def try_(client: aiomqtt.Client) -> None:
        """To be let in is all."""

    limits = asyncio.run(_connect(sink, try_, {}))
    if sink.retain and limits.get("RetainAvailable", 1) == 0:
        raise ConnectorError(f"{sink.place}: the broker keeps no messages; leave retain= out")
    largest = limits.get("MaximumPacketSize")
    size = f" of up to {largest:,} bytes" if largest else ""
    return f"{_speaks(sink)} and lets this client in; whether it takes messages{size} is not tried"


def _speaks(broker: Broker) -> str:
    return f"{broker.url} speaks MQTT {'5' if broker.version == 5 else '3.1.1'}"


async def _connect(
    broker: Broker, try_: Callable[[aiomqtt.Client], Awaitable[None]], connect: Mapping[str, int]
) -> Limits:
    words, found = LastWords(), dict[str, Any]()
    # With the id of the flow it would throw the flow out.
    client_id = f"{broker.client}-check" if broker.client else None
    client = make_client(
        broker, client_id, lambda _session, limits: found.update(limits), words, connect=connect
    )
    try:
        async with client:
            await try_(client)
    except (aiomqtt.MqttError, OSError) as error:
        raise ConnectorError(explain(broker, error, words.text)) from None
    return found
