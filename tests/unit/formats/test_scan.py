"""The scan of flat JSON gives what msgspec gives, for anything that may come."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamflow import Json, Messages, Schema
from tests.unit.formats import scanned
from tests.unit.formats.scanned import FORMS, KEYS, SENSORS, Refuses, of

assert_same = partial(scanned.assert_same, Json())
NESTED = Json(
    paths={
        "machine": "head.id",
        "temperature": "data.air.t",
        "bar": "data.bar",
        "site": "head.where.site",
    }
)
SITED = Schema("machine", "at", SENSORS, ("site",))
digits = st.text("0123456789", min_size=1, max_size=21)
numerals = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "", "-", "+"]),
        digits,
        st.sampled_from(["", "."]),
        st.one_of(st.just(""), digits),
        st.sampled_from(["", "", "e", "E-", "e+"]),
        st.one_of(st.just(""), st.integers(0, 330).map(str)),
    ),
)
doubles = st.floats(allow_nan=False, allow_infinity=False).map(repr)
moments = st.datetimes().map(lambda t: t.isoformat())
zones = st.sampled_from(["", "Z", "z", "+02:00", "-11:30", "+25:00", " +01:00", "+0100"])
times = st.one_of(
    st.builds(lambda t, zone: json.dumps(t + zone), moments, zones),
    st.from_regex(r'"20[0-9]{2}-[0-3][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9]'
                  r'(\.[0-9]{0,11})?(Z|[+-][0-2][0-9]:[0-6][0-9])?"', fullmatch=True),
    st.integers(0, 2 * 10**18).map(str),
    st.floats(0, 1e18).map(repr),
    numerals,
)  # fmt: skip
texts = st.one_of(
    st.sampled_from(["pump-1", "pump-2", "a much longer name of a pump", "", " ", "eight888"]),
    st.text(max_size=12),
).map(lambda text: json.dumps(text, ensure_ascii=len(text) % 2 == 0))
values = st.one_of(
    numerals, doubles, texts, st.sampled_from(["null", "true", "{}", "[1, 2]", "nul", "NaN", ""])
)
keys = st.sampled_from(KEYS)


@st.composite
def messages(draw: Any) -> bytes:
    blank = st.sampled_from(["", "", "", " ", "\n\t "])
    fields = [
        ("machine", draw(texts) if draw(st.booleans()) else '"pump-1"'),
        ("at", draw(times)),
        ("temperature", draw(st.one_of(doubles, numerals))),
        *draw(st.lists(st.tuples(keys, st.one_of(values, times)), max_size=4)),
    ]
    if draw(st.booleans()):
        fields = draw(st.permutations(fields))
    inside = ",".join(
        f"{draw(blank)}{json.dumps(key)}{draw(blank)}:{draw(blank)}{value}{draw(blank)}"
        for key, value in fields
    )
    raw = f"{draw(blank)}{{{inside}}}{draw(blank)}".encode()
    if draw(st.integers(0, 3)) == 0:  # break it
        at = draw(st.integers(0, len(raw)))
        raw = raw[:at] + draw(st.binary(max_size=2)) + raw[at + draw(st.integers(0, 3)) :]
    return raw


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(FORMS), st.lists(st.lists(messages(), max_size=6), min_size=1, max_size=3))
def test_any_messages_give_what_msgspec_gives(schema: Schema, batches: list[list[bytes]]) -> None:
    assert_same(schema, *(of(*batch) for batch in batches))


@settings(max_examples=200, deadline=None)
@given(st.one_of(doubles, numerals))
def test_a_number_has_the_same_bits(numeral: str) -> None:
    assert_same(FORMS[0], of(f'{{"machine": "a", "at": 0, "bar": {numeral}}}'))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(FORMS), times)
def test_a_time_is_the_same(schema: Schema, time: str) -> None:
    assert_same(schema, of(f'{{"machine": "a", "at": {time}, "bar": 1}}'))


WHOLE = '{"machine": "pump-1", "at": "2026-01-05T06:00:00.250Z", "temperature": 20.5, "bar": 1}'


nests = st.recursive(
    st.one_of(values, times),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]"),
        st.lists(
            st.tuples(
                st.sampled_from(["id", "where", "site", "air", "t", "bar", "data", "x"]), inner
            ),
            max_size=4,
        ).map(lambda items: "{" + ", ".join(f'"{k}": {v}' for k, v in items) + "}"),
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["head", "data", "at", "x"]), nests), max_size=5), times)
def test_nested_fields_and_all_that_is_not_wanted(extra: list[tuple[str, str]], time: str) -> None:
    whole = (
        '"head": {"id": "pump-1", "where": {"site": "n"}}, "data": {"air": {"t": 4.5}, "bar": 1}'
    )
    more = "".join(f', "{key}": {value}' for key, value in extra)
    first = f"{more[2:]}, " if more else ""
    batch = of(
        f'{{{whole}, "at": {time}{more}}}', f'{{{first}"at": {time}, {whole}}}', f"{{{more[2:]}}}"
    )
    scanned.assert_same(NESTED, SITED, batch)


def test_an_object_that_comes_twice_counts_as_it_comes_last() -> None:
    twice = '{"head": {"id": "a"}, "at": 0, "data": {"bar": 1}, "data": {"air": {"t": 2}}}'
    scanned.assert_same(NESTED, SITED, of(twice))


@pytest.mark.parametrize("deep", [5, 31, 32, 33, 2000])
def test_what_is_nested_deeply_is_read_or_refused_alike(deep: int) -> None:
    start = '{"machine": "a", "at": 0, "x": '
    arrays, objects = "[" * deep + "]" * deep, '{"x": ' * deep + "1" + "}" * deep
    open_ = "[" * deep
    assert_same(FORMS[0], of(*(f"{start}{x}}}" for x in (arrays, objects, open_)), WHOLE))


def test_a_message_cut_off_anywhere_is_not_read_on_in_the_next() -> None:
    for at in range(len(WHOLE)):
        assert_same(FORMS[0], of(WHOLE[:at], WHOLE[at:], WHOLE))
        assert_same(FORMS[0], of(WHOLE[:at]))


def test_any_byte_replaced_gives_what_msgspec_gives() -> None:
    raw = WHOLE.encode()
    for byte in (
        b"\0",
        b"\n",
        b'"',
        b"\\",
        b"{",
        b"}",
        b",",
        b":",
        b"e",
        b"-",
        b"0",
        b"\x7f",
        b"\xe9",
    ):
        payloads = [raw[:at] + byte + raw[at + 1 :] for at in range(len(raw))]
        assert_same(FORMS[0], of(*payloads))


def test_names_that_are_equal_in_their_first_words_are_told_apart() -> None:
    names = [
        *("a" * k for k in range(1, 40)),
        *("a" * k + "b" for k in range(40)),
        *(f"pump-{k}" for k in range(300)),
    ]
    batch = [f'{{"machine": "{name}", "at": 0, "bar": 1}}' for name in names]
    assert_same(FORMS[0], of(*batch), of(*reversed(batch)), of(*batch[::7]))


def test_a_name_that_ends_in_zeros_is_another_one() -> None:
    with_zero = '{"machine": "a\\u0000", "at": 0}'
    assert_same(FORMS[0], of(with_zero), of('{"machine": "a", "at": 0}', with_zero))


def test_what_the_transport_tells_counts_more() -> None:
    payloads = [WHOLE.encode(), b'{"bar": 2, "site": "west"}', b'{"machine": 3, "bar": "hot"}']
    for told in (
        {"machine": ["x", "y", "z"], "at": ["2026-01-05T06:00:00Z"] * 3},
        {"machine": ["x", None, "z"]},
        {"site": ["n", "s", "w"], "colour": ["r", "g", "b"]},
        {"bar": ["1", "2", "3"]},
    ):
        assert_same(FORMS[0], Messages(payloads, range(3), fields=told))


def test_a_plain_message_is_read_by_the_scan_itself() -> None:
    decoder: Any = Json().decoder(FORMS[0])
    decoder._rest = Refuses()
    odd = '{ "more" : "text", "site":"n","bar":null,"at":1767593129606,"machine":"p","n":-1.5e3}'
    batch = decoder.decode(of(WHOLE, odd), print).batch
    assert batch.time.tolist() == [1767592800250000000, 1767593129606000000]
    assert batch["temperature"][0] == 20.5
    more = '{"x": {"y": [1, {"z": {}}, [], true]}, "machine": "a", "at": 0, "bar": 7}'
    assert decoder.decode(of(more), print).batch["bar"].tolist() == [7.0]
    with pytest.raises(AssertionError, match="extra"):
        decoder.decode(of('{"machine": "a", "at": 0, "extra": "\\u00e9"}'), print)
    nested: Any = NESTED.decoder(SITED)
    nested._rest = Refuses()
    deep = '{"at": 0, "data": {"air": {"t": 1.5}}, "head": {"id": "a", "where": {"site": "n"}}}'
    batch = nested.decode(of(deep, deep), print).batch
    assert batch["temperature"].tolist() == [1.5, 1.5]
    assert batch.tags["site"].list() == ["n", "n"]
