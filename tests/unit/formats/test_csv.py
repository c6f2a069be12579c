from __future__ import annotations

from typing import Any

import pytest

from streamflow import Csv, Messages, Schema, Sensor
from streamflow.errors import FlowError

SCHEMA = Schema("device", "time", {"t": Sensor()}, ("site",))
HEADER = b"device,time,t,site"


def decode(
    *lines: bytes, header: bytes = HEADER, delimiter: str = ","
) -> tuple[list[dict[str, Any]], list[Any]]:
    dead: list[Any] = []
    messages = Messages(lines, range(len(lines)), header)
    decoder = Csv(delimiter).decoder(SCHEMA)
    batch = decoder.decode(messages, lambda i, why, byte=None: dead.append((i, why, byte))).batch
    return list(batch.rows()), dead


def test_columns_go_by_name_in_any_order_with_others_between() -> None:
    rows, dead = decode(b"n,x,1.5,5,a", header=b"site,extra,t,time,device")
    assert dead == []
    assert rows == [{"device": "a", "time": 5 * 10**9, "site": "n", "t": 1.5}]


@pytest.mark.parametrize(
    ("line", "why", "byte"),
    [
        (b"a,1,2.5", "3 fields where the header has 4", None),
        (b"a,1,2.5,n,x", "5 fields where the header has 4", None),
        (b"", "empty message", None),
        (b'a,1,2.5,"n', "not CSV: unexpected end of data", None),
        (b'a,1,2.5,"n"x', "not CSV: ',' expected after '\"'", None),
        (b"a,1,2.5,\xff", "not UTF-8: invalid start byte", 8),
        (b"a,never,2.5,n", "time: 'never' is not a time", None),
        (b",1,2.5,n", "device: it has no device", None),
    ],
)
def test_a_line_that_is_none_is_dead_and_harms_no_other(
    line: bytes, why: str, byte: int | None
) -> None:
    rows, dead = decode(b"a,1,2.5,n", line, b"b,2,3.5,s")
    assert [row["device"] for row in rows] == ["a", "b"]
    ((i, reason, at),) = dead
    assert (i, at) == (1, byte)
    assert reason.startswith(why)


def test_text_where_a_number_should_be_costs_that_value() -> None:
    rows, dead = decode(b"a,1,hot,n", b"a,2,,n", b"a,3,NaN,", b"a,4,inf,n")
    assert dead == []
    assert [row["t"] for row in rows] == [None, None, None, float("inf")]
    assert [row.get("quality") for row in rows] == [{"t": ["invalid"]}, None, None, None]
    assert rows[2]["site"] is None


def test_quotes_protect_the_delimiter() -> None:
    rows, _ = decode(b'a,1,2.5,"hall 2, ""north"""')
    assert rows[0]["site"] == 'hall 2, "north"'


def test_another_delimiter() -> None:
    rows, dead = decode(b"a;1;2.5;x,y", header=b"device;time;t;site", delimiter=";")
    assert (rows[0]["site"], dead) == ("x,y", [])


def test_a_header_may_have_a_bom_blanks_and_a_line_break() -> None:
    names = ["device", "time", "t"]
    assert Csv().header(b"\xef\xbb\xbfdevice, time ,t\r\n") == names
    assert Csv().header(b'"device","time","t"') == names


def test_a_wrong_header_is_refused_with_the_name_meant() -> None:
    with pytest.raises(FlowError, match=r"a.csv: no column 'site' in the header; did you mean 'si"):
        Csv().check_header(b"device,time,t,sites", SCHEMA, "a.csv")
    with pytest.raises(FlowError, match=r"a.csv: two columns are called 't'"):
        Csv().check_header(b"device,time,t,site,t", SCHEMA, "a.csv")
    Csv().check_header(HEADER, SCHEMA, "a.csv")


def test_under_a_wrong_header_every_line_is_dead_not_misread() -> None:
    rows, dead = decode(b"a,1,2.5", b"b,1,2.5", header=b"device,time,temp")
    assert rows == []
    why = "no column 't' in the header; there is: device, temp, time"
    assert dead == [(0, why, None), (1, why, None)]


def test_a_column_may_lack_if_the_transport_tells_it() -> None:
    messages = Messages([b"1,2.5"], [2], b"time,t", fields={"device": ["a"], "site": [None]})
    decoded = Csv().decoder(SCHEMA).decode(messages, print)
    assert list(decoded.batch.rows()) == [{"device": "a", "time": 10**9, "site": None, "t": 2.5}]
