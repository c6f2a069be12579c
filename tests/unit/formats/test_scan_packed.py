"""The scan of MessagePack maps gives what msgspec gives, for anything that may come."""

from __future__ import annotations

import ctypes
import math
import mmap
import struct
from functools import partial
from itertools import permutations
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.msgpack import Ext

from streamflow import Messages, MsgPack, Schema, Sensor
from streamflow.formats.scan.keys import Keys
from tests.unit.formats import scanned
from tests.unit.formats.scanned import FORMS, KEYS, Refuses, decoded, of

assert_same = partial(scanned.assert_same, MsgPack())
encode = msgspec.msgpack.encode


def forms(value: Any) -> list[bytes]:
    """A value in each form that MessagePack has for it, the longest headers included."""
    if isinstance(value, bool) or value is None:
        return [encode(value)]
    if isinstance(value, int):
        out = [bytes([value & 255])] if -32 <= value < 128 else []
        for code, form in zip(range(0xCC, 0xD4), "BHIQbhiq", strict=True):
            try:
                out.append(bytes([code]) + struct.pack(f">{form}", value))
            except struct.error:
                continue
        return out
    if isinstance(value, float):
        out = [b"\xcb" + struct.pack(">d", value)]
        if math.isnan(value) or abs(value) < 3e38 or math.isinf(value):
            out.append(b"\xca" + struct.pack(">f", value))
        return out
    if isinstance(value, Ext):
        fixed = {1: 0xD4, 2: 0xD5, 4: 0xD6, 8: 0xD7, 16: 0xD8}.get(len(value.data))
        behind = struct.pack("b", value.code) + value.data
        out = [] if fixed is None else [bytes([fixed]) + behind]
        return out + sized(0xC7, len(value.data), behind)
    if isinstance(value, bytes):
        return sized(0xC4, len(value), value)
    if isinstance(value, str):
        raw = value.encode()
        out = [bytes([0xA0 + len(raw)]) + raw] if len(raw) < 32 else []
        return out + sized(0xD9, len(raw), raw)
    return [encode(value)]


def sized(code: int, size: int, raw: bytes) -> list[bytes]:
    heads = [struct.pack(f">B{form}", code + k, size) for k, form in enumerate("BHI")]
    return [head + raw for head in heads]


def mapped(count: int) -> list[bytes]:
    return [bytes([0x80 + count]), struct.pack(">BH", 0xDE, count), struct.pack(">BI", 0xDF, count)]


def stamp(ns: int, seconds: int) -> Ext:
    return Ext(-1, struct.pack(">Iq", ns, seconds))


zones = st.sampled_from(["", "Z", "z", "+02:00", "-11:30", "+25:00", " +01:00", "+0100"])
moments = st.builds(lambda t, zone: t.isoformat() + zone, st.datetimes(), zones)
whole = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.integers(-200, 300),
    st.sampled_from([s * 2**k + d for k in (7, 8, 15, 16, 31, 32, 53, 63) for d in (-1, 0, 1)
                     for s in (-1, 1) if s * 2**k + d >= -(2**63)]),
)  # fmt: skip
reals = st.one_of(st.floats(), st.floats(width=32))
stamps = st.one_of(
    st.integers(0, 2**32 - 1).map(lambda s: Ext(-1, struct.pack(">I", s))),
    st.builds(
        lambda ns, s: Ext(-1, struct.pack(">Q", ns << 34 | s)),
        st.integers(0, 2**30 - 1),
        st.integers(0, 2**34 - 1),
    ),
    st.builds(stamp, st.integers(0, 2**32 - 1), st.integers(-(2**63), 2**63 - 1)),
    st.builds(stamp, st.integers(0, 10**9), st.integers(9223372034, 9223372038)),
    st.builds(Ext, st.sampled_from([-1, 0, 5, 127]), st.binary(max_size=17)),
)
times = st.one_of(
    moments,
    st.from_regex(r"20[0-9]{2}-[0-3][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9]"
                  r"(\.[0-9]{0,11})?(Z|[+-][0-2][0-9]:[0-6][0-9])?", fullmatch=True),
    st.integers(0, 2 * 10**18),
    st.floats(0, 1e19),
    st.sampled_from([float(2**63), 9223372036.9, 9223372036854775.0, 99999999999.99998, -0.0,
                     math.nan, math.inf, -math.inf]),
    whole,
    reals,
    stamps,
)  # fmt: skip
texts = st.one_of(
    st.sampled_from(["pump-1", "pump-2", "a much longer name of a pump", "", " ", "eight888"]),
    st.text(max_size=40),
)
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), whole, reals, texts, st.binary(max_size=9), stamps),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=4,
)
keys = st.sampled_from([*KEYS, "Größe", "a key that is long, and of no field at all"])


@st.composite
def messages(draw: Any) -> bytes:
    fields: list[tuple[str, Any]] = [
        ("machine", draw(texts) if draw(st.booleans()) else "pump-1"),
        ("at", draw(times)),
        ("temperature", draw(st.one_of(whole, reals))),
        *draw(st.lists(st.tuples(keys, st.one_of(anything, times)), max_size=5)),
    ]
    if draw(st.booleans()):
        fields = draw(st.permutations(fields))
    if draw(st.booleans()):
        raw = encode(dict(fields))
    else:
        each = [draw(st.sampled_from(forms(one))) for pair in fields for one in pair]
        raw = draw(st.sampled_from(mapped(len(fields)))) + b"".join(each)
    if draw(st.integers(0, 3)) == 0:  # break it
        at = draw(st.integers(0, len(raw)))
        raw = raw[:at] + draw(st.binary(max_size=2)) + raw[at + draw(st.integers(0, 3)) :]
    return raw


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(FORMS), st.lists(st.lists(messages(), max_size=6), min_size=1, max_size=3))
def test_any_messages_give_what_msgspec_gives(schema: Schema, batches: list[list[bytes]]) -> None:
    assert_same(schema, *(of(*batch) for batch in batches))


def one(at: bytes = b"\0", bar: bytes = b"\1", machine: bytes = b"\xa1a") -> bytes:
    return b"\x83\xa7machine" + machine + b"\xa2at" + at + b"\xa3bar" + bar


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(FORMS), times)
def test_a_time_is_the_same_in_each_of_its_forms(schema: Schema, time: Any) -> None:
    for at in forms(time):
        assert_same(schema, of(one(at)))
    assert_same(schema, of(*map(one, forms(time))))


@settings(max_examples=200, deadline=None)
@given(st.one_of(anything, whole, reals))
def test_a_value_has_the_same_bits_in_each_of_its_forms(value: Any) -> None:
    for form in forms(value):
        assert_same(FORMS[0], of(one(bar=form)))


odd_bits = [0x7FF << 52 | 1, 0x7FF8 << 48 | 5, 0x7F800001 << 32, 0x7FC00007 << 32]


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.integers(0, 2**64 - 1), st.sampled_from(odd_bits)))
def test_the_bits_of_any_float_are_kept(bits: int) -> None:
    raw = struct.pack(">Q", bits)
    assert_same(FORMS[0], of(one(bar=b"\xcb" + raw), one(bar=b"\xca" + raw[:4])))


WHOLE = encode(
    {"machine": "pump-1", "at": "2026-01-05T06:00:00.250Z", "temperature": 20.5, "bar": 1, "n": "o"}
)
OTHERS = [
    WHOLE,
    encode({"site": "north", "machine": "p", "bar": -70000, "at": 1767593129606, "x": b"12"}),
    one(b"\xd7\xff" + struct.pack(">Q", 5 << 34 | 1767593129), b"\xca\x3f\x80\0\0"),
    one(b"\xc7\x0c\xff" + struct.pack(">Iq", 5, 1767593129), b"\xd1\xff\0"),
    one(b"\xd6\xff" + struct.pack(">I", 1767593129), b"\xc0", b"\xdb\0\0\0\6pump-1"),
]


def test_a_message_cut_off_anywhere_is_not_read_on_in_the_next() -> None:
    for raw in OTHERS:
        for at in range(len(raw)):
            assert_same(FORMS[0], of(raw[:at], raw[at:], raw))
            assert_same(FORMS[0], of(raw[:at]))


def test_any_byte_replaced_by_any_other_gives_what_msgspec_gives() -> None:
    for raw in OTHERS:
        payloads = [
            raw[:at] + bytes([byte]) + raw[at + 1 :]
            for at in range(len(raw))
            for byte in range(256)
        ]
        assert_same(FORMS[0], of(*payloads))


@pytest.mark.parametrize("head", [b"\xd9", b"\xda", b"\xdb", b"\xc4", b"\xc6", b"\xc7", b"\xc9"])
@pytest.mark.parametrize("size", [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0"])
def test_a_length_beyond_the_end_is_not_followed(head: bytes, size: bytes) -> None:
    far = head + size
    ends = [b"\x81" + far, b"\x81\xa1x" + far, *(one(**{k: far}) for k in ("at", "bar", "machine"))]
    ends += [b"\xdf" + size, b"\xde" + size, b"\xdf" + size + one()[1:]]
    for raw in ends:
        assert_same(FORMS[0], of(raw))
        assert_same(FORMS[0], of(raw, one(), WHOLE))


def test_texts_and_keys_of_no_field_need_not_be_utf_8() -> None:
    strange = b"\x84\xa1\xff\xa2\xfe\xff" + one()[1:]
    assert_same(FORMS[0], of(strange, b"\x84\xa1x\xa2\xfe\xff" + one()[1:]))


def test_names_of_every_length_are_told_apart() -> None:
    names = ["a" * k for k in range(1, 300)] + ["a" * k + "b" for k in range(70)]
    batch = [encode({"machine": name, "at": 0, "bar": 1}) for name in [*names, "a\0", "b\0\0"]]
    assert_same(FORMS[0], of(*batch), of(*reversed(batch)), of(*batch[::7]))


def test_names_that_are_not_ascii_in_one_byte_are_the_same() -> None:
    names = ["a" * k + "ö" + "a" * (20 - k) for k in range(21)]
    batch = [encode({"machine": name, "site": name, "at": 0}) for name in names]
    assert_same(FORMS[0], of(*batch))


def test_what_the_transport_tells_counts_more() -> None:
    payloads = [
        WHOLE,
        encode({"bar": 2, "site": "w"}),
        encode({"machine": 3, "bar": "hot"}),
        b"\x80",
    ]
    for told in (
        {"machine": list("wxyz"), "at": ["2026-01-05T06:00:00Z"] * 4},
        {"machine": ["w", None, "y", "z"]},
        {"site": list("news"), "colour": list("rgby")},
    ):
        assert_same(FORMS[0], Messages(payloads, range(4), fields=told))
    bare = Schema("machine", "at", {})
    assert_same(
        bare, Messages(payloads, range(4), fields={"machine": list("wxyz"), "at": ["0"] * 4})
    )


def test_a_key_is_told_from_one_that_begins_like_it_in_any_order() -> None:
    sensors = dict.fromkeys(["mac", "machine1", "machine12"], Sensor())
    fields = {"machine12": 1, "machine1": 2, "mac": 3, "at": 4, "id": "x", "mach": 6}
    orders = [encode(dict(order)) for order in permutations(fields.items())]
    assert_same(Schema("id", "at", sensors), of(*orders))


def test_the_keys_of_a_flow_need_not_be_ascii() -> None:
    schema = Schema("Gerät", "Zeit", {"Größe": Sensor()})
    assert_same(schema, of(encode({"Gerät": "a", "Zeit": 0, "Größe": 1.5, "Größ": 2})))


def test_nothing_is_read_past_the_padding() -> None:
    page = mmap.PAGESIZE
    pages = np.frombuffer(mmap.mmap(-1, 2 * page), np.uint8)
    forbidden = ctypes.c_void_p(pages.ctypes.data + page)  # a load there ends the process
    assert ctypes.CDLL(None).mprotect(forbidden, page, 0) == 0
    decoder: Any = MsgPack().decoder(FORMS[0])
    scan = decoder._read

    def at_the_end_of_the_page(data: Any, *more: Any) -> None:
        place = pages[page - len(data) : page]
        place[:] = data
        scan(place, *more)

    decoder._read = at_the_end_of_the_page
    keys = Keys(FORMS[0], decoder._paths, frozenset(), b"")
    for raw in OTHERS:
        for at in range(len(raw) + 1):
            for head in (0xA9, *range(0xC4, 0xE0)):
                for more in (b"", b"\x0c", b"\x0c\xff", b"\x7f" * 4, b"\xff" * 4):
                    decoder._scan([raw[:at] + bytes([head]) + more], keys)


def test_a_plain_message_is_read_by_the_scan_itself() -> None:
    decoder: Any = MsgPack().decoder(FORMS[0])
    decoder._rest = Refuses()
    more = {"more": "ü", "raw": b"1", "flag": True, "ext": Ext(5, b"1"), "n": None}
    plain = [*OTHERS, encode({**more, "site": None, "bar": None, "at": 1.5, "machine": "p"})]
    names, (times, _), columns, tags, *_ = decoded(decoder, of(*plain))
    assert names == ["pump-1", "p", "a", "a", "pump-1", "p"]
    second = 1767593129 * 10**9
    assert times[1:] == [second + 606 * 10**6, second + 5, second + 5, second, 1500000000]
    assert tags["site"] == [None, "north", None, None, None, None]
    bar = struct.pack("4d", 1, -70000, 1, -256)
    assert columns["bar"][:4] == list(struct.unpack("4q", bar))
    with pytest.raises(AssertionError, match="extra"):
        decoder.decode(of(encode({"machine": "a", "at": 0, "extra": {}})), print)
