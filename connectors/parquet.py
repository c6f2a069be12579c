"""Parquet: readings from the rows of a Parquet file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from streamflow import Arrow, Messages, Position, Reader, Schema
from streamflow.errors import ConnectorError, EndOfStream, FlowError
from streamflow_connectors.files import File
