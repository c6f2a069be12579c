"""The report page: complete, offline, inert towards hostile text, and true to its data."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray

from streamflow.report.envelope import BUCKETS, GAPS, POINTS, envelope
from streamflow.report.page import Fact, Mark, Span, Table, Track, render

SECOND = 10**9
START = 1_400_000_000 * SECOND
VOID = {"meta"}
HOSTILE = (
    "</script><script>alert(1)</script><!-- <img src=x onerror=alert(1)> \u202e $title \udcff \0"
)


class Document(HTMLParser):
    """The parsed page: every element, and the text directly inside it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.closed = True  # until the next element opens, text belongs to none that matters
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")
        self.closed = False
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.closed = True

    def handle_data(self, data: str) -> None:
        if not self.closed:
            self.texts[-1] += data

    def text(self, tag: str, **attrs: str) -> str:
        (found,) = [
            text
            for (name, has), text in zip(self.elements, self.texts, strict=True)
            if name == tag and attrs.items() <= has.items()
        ]
        return found

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = orjson.loads(self.text("script", id="data"))
        return data


def unpack(series: dict[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What page.js makes of a packed series: times in ms, values."""
    ticks = np.frombuffer(base64.b64decode(series["time"]), dtype="<u4")
    offsets = np.frombuffer(base64.b64decode(series["value"]), dtype="<f4")
    time: NDArray[np.float64] = series["origin"] + series["unit"] * ticks.astype(np.float64)
    value: NDArray[np.float64] = series["base"] + offsets.astype(np.float64)
    return time, value


def shown(track: Track) -> dict[str, Any]:
    (only,) = Document(render("t", [track])).data["tracks"]
    result: dict[str, Any] = only
    return result


def times(rows: int, step: int = 300 * SECOND) -> NDArray[np.int64]:
    return START + np.arange(rows, dtype=np.int64) * step


def wave(rows: int) -> NDArray[np.float64]:
    row = np.arange(rows, dtype=np.float64)
    value: NDArray[np.float64] = np.sin(row / 40) + 0.2 * np.sin(row * 1.7)
    return value


def full_page() -> str:
    time = times(500)
    track = Track(
        "pump",
        time,
        {"bar": wave(500), "degF": wave(500) + 60},
        score=np.abs(wave(500)),
        threshold=0.9,
        alerts=[Span(int(time[100]), int(time[110])), Span(int(time[400]), None)],
        drift=[Mark(int(time[250]), "mean moved")],
        labels=[Span(int(time[90]), int(time[105])), Span(int(time[200]), int(time[210]))],
        note="hall 3",
    )
    tables = [Table("Balance", ["what", "readings"], [["in", "500"], ["out", "500"]])]
    return render("Pumps", [track], facts=[Fact("found", "1 of 2")], tables=tables)


def test_the_document_is_complete_and_well_formed() -> None:
    page = full_page()
    document = Document(page)
    assert page.startswith("<!doctype html>")
    assert document.open == []
    assert [tag for tag, _ in document.elements].count("script") == 2
    assert document.text("title") == document.text("h1") == "Pumps"
    assert any(has.get("name") == "viewport" for _, has in document.elements)


def test_nothing_is_fetched() -> None:
    page = full_page()
    for word in (
        "http:",
        "https:",
        "//cdn",
        "src=",
        "href=",
        "@import",
        "url(",
        "fetch(",
        "import(",
    ):
        assert word not in page.lower(), word


def test_the_policy_admits_exactly_the_style_and_the_script_of_the_page() -> None:
    document = Document(full_page())
    (policy,) = [has["content"] for _, has in document.elements if "http-equiv" in has]
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for directive, text in (
        ("style-src", document.text("style")),
        ("script-src", document.text("script", type="module")),
    ):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy


def test_the_same_data_gives_the_same_page() -> None:
    assert full_page() == full_page()


def test_hostile_text_stays_text() -> None:
    time = times(3)
    track = Track(
        HOSTILE,
        time,
        {HOSTILE: np.arange(3.0)},
        alerts=[Span(int(time[0]), int(time[1]), HOSTILE)],
        drift=[Mark(int(time[1]), HOSTILE)],
        labels=[Span(int(time[0]), None, HOSTILE)],
        note=HOSTILE,
    )
    plain = Track(
        "d",
        time,
        {"x": np.arange(3.0)},
        alerts=[Span(int(time[0]), int(time[1]))],
        drift=[Mark(int(time[1]))],
        labels=[Span(int(time[0]), None)],
    )
    table = Table(HOSTILE, [HOSTILE], [[HOSTILE]])
    page = render(HOSTILE, [track], facts=[Fact(HOSTILE, HOSTILE)], tables=[table])
    document = Document(page)
    same = Document(
        render("t", [plain], facts=[Fact("f", "v")], tables=[Table("t", ["c"], [["x"]])])
    )
    assert document.elements == same.elements
    assert "<" not in document.text("script", id="data")
    assert document.open == []
    meant = HOSTILE.replace("\udcff", "?")
    (shown_track,) = document.data["tracks"]
    assert shown_track["device"] == shown_track["note"] == meant
    assert shown_track["signals"][0]["name"] == meant
    assert shown_track["alerts"][0]["note"] == shown_track["drift"][0]["note"] == meant
    assert document.data["facts"] == [[meant, meant]]


def test_scripts_never_write_html() -> None:
    script = Document(full_page()).text("script", type="module")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", script)


@pytest.mark.parametrize("at", [0, 1, 11_503, 22_998, 22_999])
@pytest.mark.parametrize("height", [1e6, -1e6])
def test_a_spike_of_one_reading_survives_at_its_own_time(at: int, height: float) -> None:
    time, value, score = times(23_000), wave(23_000), np.zeros(23_000)
    value[at] = height
    score[at] = 0.99
    track = shown(Track("d", time, {"x": value}, score))
    for series, expected in ((track["signals"][0], height), (track["score"], 0.99)):
        when, values = unpack(series)
        peak = int(np.argmax(np.abs(values - np.median(values))))
        assert values[peak] == pytest.approx(expected)
        assert when[peak] == time[at] / 1e6


def test_every_bucket_keeps_its_lowest_and_highest_reading() -> None:
    value = np.random.default_rng(3).normal(size=POINTS * 7 + 5)
    time = times(value.size)
    drawn_time, drawn = envelope(time, value)
    rows = np.searchsorted(time, drawn_time)
    assert np.array_equal(value[rows], drawn)
    assert drawn.size <= 2 * BUCKETS
    starts = np.arange(BUCKETS) * value.size // BUCKETS
    for extreme in (np.minimum, np.maximum):
        assert np.isin(extreme.reduceat(value, starts), drawn).all()


def test_a_short_series_is_kept_whole() -> None:
    time, value = times(POINTS), wave(POINTS)
    when, values = unpack(shown(Track("d", time, {"x": value}))["signals"][0])
    assert np.array_equal(when, time / 1e6)
    assert values == pytest.approx(value, abs=1e-6)


def test_readings_are_drawn_in_order_of_time() -> None:
    time, value = times(50), wave(50)
    mixed = np.random.default_rng(1).permutation(50)
    assert shown(Track("d", time[mixed], {"x": value[mixed]})) == shown(
        Track("d", time, {"x": value})
    )


def breaks(time: NDArray[np.int64], value: NDArray[np.float64]) -> int:
    return int(np.isnan(envelope(time, value)[1]).sum())


def test_a_missing_value_and_a_long_pause_are_gaps() -> None:
    time, value = times(200), wave(200)
    assert breaks(time, value) == 0
    missing = value.copy()
    missing[80] = np.nan
    missing[120:150] = np.inf
    assert breaks(time, missing) == 2
    paused = time.copy()
    paused[100:] += 3_600 * SECOND
    assert breaks(paused, value) == 1
    assert breaks(np.delete(time, slice(50, 54)), np.delete(value, slice(50, 54))) == 0


def test_a_pause_in_a_long_series_is_a_gap_that_no_bucket_spans() -> None:
    time, value = times(23_000), wave(23_000)
    time[11_111:] += 5 * 86_400 * SECOND
    when, values = envelope(time, value)
    (gap,) = np.flatnonzero(np.isnan(values))
    assert when[gap - 1] <= time[11_110] < time[11_111] <= when[gap + 1]


def test_two_sensors_that_report_in_turn_are_unbroken_lines() -> None:
    value = wave(400)
    value[1::2] = np.nan
    assert breaks(times(400), value) == 0


def test_gaps_cannot_swell_the_page() -> None:
    time = times(60_000)
    value = wave(60_000)
    value[::3] = np.nan
    time += np.arange(60_000) // 20 * 86_400 * SECOND
    assert envelope(time, value)[1].size <= 2 * (BUCKETS + GAPS) + GAPS


def test_a_level_far_from_zero_keeps_its_detail() -> None:
    value = 101_325.0 + wave(500) * 1e-3
    _, values = unpack(shown(Track("d", times(500), {"pascal": value}))["signals"][0])
    assert np.abs(values - value).max() < 1e-9


@pytest.mark.parametrize("step", [1, 1_000, SECOND, 86_400 * SECOND])
def test_times_are_exact_to_a_millionth_of_the_whole(step: int) -> None:
    time = times(2_000, step)
    when, _ = unpack(shown(Track("d", time, {"x": wave(2_000)}))["signals"][0])
    # A float64 holds ms since 1970 to about 0.0002 ms.
    assert np.abs(when - time / 1e6).max() <= max(2_000 * step / 1e12, 0.0003)


@pytest.mark.parametrize("rows", [0, 1, 2])
@pytest.mark.parametrize("fill", [np.nan, np.inf, 0.0, 1e300])
def test_little_or_nothing_to_draw(rows: int, fill: float) -> None:
    value = np.full(rows, fill)
    track = shown(Track("d", times(rows), {"x": value}, score=value, threshold=np.inf))
    assert track["readings"] == rows
    assert (track["range"] is None) == (rows == 0)
    assert track["threshold"] is None
    for series in (track["signals"][0], track["score"]):
        assert unpack(series)[1].size == (rows if abs(fill) <= 1e300 else 0)


def test_no_score_no_signals_no_tracks() -> None:
    assert shown(Track("d", times(3), {}))["score"] is None
    assert shown(Track("d", times(3), {}))["signals"] == []
    assert Document(render("t", [])).data["tracks"] == []


def test_a_column_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"track 'd': 'x' has shape \(2,\), time has \(3,\)"):
        Track("d", times(3), {"x": np.zeros(2)})
    with pytest.raises(ValueError, match="'score'"):
        Track("d", times(3), {}, score=np.zeros(4))


def judged(alerts: list[Span], labels: list[Span] | None) -> tuple[list[str], list[str], str]:
    track = shown(Track("d", times(2, 1_000 * SECOND), {}, alerts=alerts, labels=labels))
    return (
        [alert["kind"] for alert in track["alerts"]],
        [label["kind"] for label in track["incidents"]],
        track["summary"],
    )


def test_alerts_and_incidents_are_judged_by_where_an_alert_opens() -> None:
    labels = [Span(100, 200), Span(300, 400), Span(900, None)]
    alerts = [Span(200, 210), Span(250, 350), Span(150, 160), Span(950, 960)]
    assert judged(alerts, labels) == (
        ["hit", "false", "hit", "hit"],
        ["found", "missed", "found"],
        "2 of 3 labelled incidents found, 4 alerts (1 false)",
    )


def test_an_alert_that_never_closes_finds_nothing_later() -> None:
    assert judged([Span(150, None)], [Span(100, 200), Span(300, 400)]) == (
        ["hit"],
        ["found", "missed"],
        "1 of 2 labelled incidents found, 1 alert",
    )


def test_unknown_labels_judge_nothing_and_empty_labels_judge_all() -> None:
    alerts = [Span(1, 2)]
    assert judged(alerts, None) == (["alert"], [], "1 alert")
    assert judged(alerts, []) == (["false"], [], "no labelled incidents, 1 alert (1 false)")
    assert judged([], [Span(1, 2)])[1:] == (["missed"], "0 of 1 labelled incident found, no alerts")


def test_seven_devices_of_23_000_readings_stay_below_1_5_mb() -> None:
    noise = np.random.default_rng(5).normal(size=(2, 23_000))
    tracks = [Track(f"d{n}", times(23_000), {"x": noise[0]}, noise[1], 3.0) for n in range(7)]
    assert len(render("t", tracks).encode()) < 700_000
