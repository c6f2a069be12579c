"""A connection to a broker, kept up by a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from math import inf
from typing import Any

import aiomqtt
from aiomqtt import MqttError
from streamflow_connectors._mqtt_broker import Broker, explain
from streamflow_connectors._mqtt_client import LastWords, make_client, status

from streamflow.errors import ConnectorError, FlowError

FIRST_WAIT, LONGEST_WAIT = 0.1, 30.0
"""Seconds before the first try to connect again, and between later ones at most."""
LEAVE = 3.0
"""Seconds to say goodbye."""

_JITTER = random.Random()  # its own: it draws nothing from what a user's code has seeded

log = logging.getLogger("streamflow.mqtt")


class Link(ABC):
    """A connection that is made, kept up, and made again with growing waits, until it is closed.

    Everything of it runs on the event loop of its thread, so the broker's keepalive is answered
    whatever the flow is busy with.

    Parameters
    ----------
    broker
        How to reach it.
    client_id
        None lets the broker choose one.
    connect
        Properties of CONNECT, for MQTT 5.
    persistent
        Whether the broker is to keep the session.
    """

    def __init__(
        self,
        broker: Broker,
        client_id: str | None,
        *,
        connect: Mapping[str, int] | None = None,
        persistent: bool = False,
    ) -> None:
        self.broker, self.client_id = broker, client_id
        self.connected = False
        self.connects = 0
        self._options: Any = {"connect": connect, "persistent": persistent, "will": True}
        self._failure: BaseException | None = None
        self._said = ""
        self._words = LastWords()
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        ready = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(ready,), name=f"mqtt {broker.place}", daemon=True
        )
        self._thread.start()
        ready.wait()

    @abstractmethod
    def prepare(self, client: aiomqtt.Client) -> None:
        """A connection is about to be made."""

    @abstractmethod
    def accepted(self, session: bool, limits: Mapping[str, Any]) -> None:
        """The broker has accepted, and nothing has come yet; whether it knows the session."""

    @abstractmethod
    async def up(self, client: aiomqtt.Client) -> None:
        """The connection stands: subscribe, or send what waits."""

    @property
    def why_not(self) -> str:
        """Why there is no connection, as far as that is known."""
        return self._said or f"{self.broker.place}: not connected to {self.broker.url} yet"

    def check(self) -> None:
        """Raise ConnectorError if the thread has ended, which is a fault of this library."""
        if self._failure is not None:
            raise ConnectorError(f"{self.broker.place}: {self._failure!r}") from self._failure

    def call(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call something on the loop."""
        with suppress(RuntimeError):  # it is closed
            self._loop.call_soon_threadsafe(function, *arguments)

    def close(self) -> None:
        """Say goodbye to the broker, and end the thread."""
        self.call(self._stop.set)
        self._thread.join(LEAVE)

    def _run(self, ready: threading.Event) -> None:
        async def begin() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            # aiomqtt may register a socket that has just been closed; that it is, we are told.
            self._loop.set_exception_handler(lambda _loop, context: log.debug("%s", context))
            ready.set()
            await self._keep()

        try:
            asyncio.run(begin())
        except BaseException as error:  # noqa: BLE001 - told by `check`, in the flow's thread
            self._failure = error
            ready.set()

    async def _keep(self) -> None:
        wait = FIRST_WAIT
        while not self._stop.is_set():
            before = self.connects
            try:
                await self._once()
            except (MqttError, OSError, ValueError, FlowError, ConnectorError) as error:
                self._tell(error)
            finally:
                self.connected = False
            wait = FIRST_WAIT if self.connects > before else wait
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), wait * _JITTER.uniform(0.5, 1.0))
            wait = min(2 * wait, LONGEST_WAIT)

    async def _once(self) -> None:
        self._words.text = ""
        client = make_client(
            self.broker, self.client_id, self.accepted, self._words, **self._options
        )
        self.prepare(client)
        async with client:
            lost: asyncio.Future[None] = client._disconnected
            await _unless(lost, self._begin(client))
            await _unless(lost, self._stop.wait())
            if lost.done():
                await lost
            await self._tell_status(client, online=False)

    async def _begin(self, client: aiomqtt.Client) -> None:
        await self.up(client)
        await self._tell_status(client, online=True)
        self.connects += 1
        self.connected = True
        if self._said:
            log.warning("%s: connected to %s again", self.broker.place, self.broker.url)
            self._said = ""

    async def _tell_status(self, client: aiomqtt.Client, *, online: bool) -> None:
        if self.broker.will:
            patience = inf if online else LEAVE  # behind all that the broker has to send first
            payload = status(online)
            await client.publish(self.broker.will, payload, 1, retain=True, timeout=patience)

    def _tell(self, error: BaseException) -> None:
        said = explain(self.broker, error, self._words.text)
        if said != self._said:
            log.warning("%s; it is tried again", said)
            self._said = said


async def _unless(lost: asyncio.Future[None], work: Coroutine[Any, Any, Any]) -> None:
    """Work until it is done or the connection is lost; raise what the work raises."""
    task = asyncio.ensure_future(work)
    await asyncio.wait([task, lost], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    else:
        task.cancel()
