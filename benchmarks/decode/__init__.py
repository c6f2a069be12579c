"""Bytes to columns, times included: JSON and MessagePack, against orjson or msgspec and a loop."""
