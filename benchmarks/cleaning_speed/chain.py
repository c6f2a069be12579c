"""The recommended chain of value stages beside the hot path: bytes to columns to alerts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import orjson
from river import anomaly, preprocessing

from benchmarks.cleaning_speed.data import GAPPY, SENSORS, SIZES
from benchmarks.cleaning_speed.duel import Row, timed
from streamflow import Alert, Batch, Despike, Detect, Flow, Impute, Json, Messages, Stuck, Validate
from streamflow.engine.shard import Shard

NAME = "Validate | Stuck | Despike | Impute"
CHAIN = (Validate(), Stuck(), Despike(), Impute("1h"))
FLOOR = 3.0
LEARNED = 260
"""Readings of a device until its trees score."""


def run(size: str, repeats: int) -> dict[str, list[float]]:
    """ns of CPU a reading, run by run, of the chain and of the hot path."""
    (devices,) = GAPPY.devices[size]
    first = GAPPY.batches(devices, LEARNED * devices, 0)
    row = Row(CHAIN, first[0].devices)
    model = preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(seed=7)
    made = Flow("hot", sensors=list(SENSORS)) | Detect(model) | Alert("score > 0.95")
    hot, decoder = Shard(made.plan()), Json().decoder(made.schema)

    def decoded(messages: Sequence[Messages]) -> None:
        for one in messages:
            hot.on_batch(decoder.decode(one, _lost).batch)

    row.run(first)
    decoded([_messages(batch) for batch in first])
    spent: dict[str, list[float]] = {"chain": [], "hot path": []}
    later = 1 + LEARNED * devices // SIZES[size]
    for number in range(later, later + repeats):
        given = GAPPY.batches(devices, SIZES[size], number)
        readings = sum(map(len, given))
        messages = [_messages(batch) for batch in given]
        spent["chain"].append(timed(row.run, given)[1] / readings * 1e9)
        spent["hot path"].append(timed(decoded, messages)[1] / readings * 1e9)
    return spent


def _messages(batch: Batch) -> Messages:
    # Complete, as decoding likes them: what is missing would make the hot path look dearer.
    full = batch.with_columns({name: np.nan_to_num(batch[name]) for name in SENSORS})
    payloads = [orjson.dumps(row) for row in full.rows()]
    return Messages(payloads, range(len(payloads)))


def _lost(i: int, reason: str, byte: int | None = None) -> None:
    raise RuntimeError(f"message {i}, byte {byte}: {reason}")
