from __future__ import annotations

from streamflow.profile.advice import Seen, advise, here, limits
from streamflow.profile.facts import DeviceFacts, SensorFacts, Stretch
from streamflow.profile.findings import findings
from streamflow.profile.nice import above, at_least, below

SECOND = 10**9
START = 1_767_225_600 * SECOND


def sensor(**changes: object) -> SensorFacts:
    whole = SensorFacts(
        values=1000,
        missing=0,
        infinite=0,
        invalid=0,
        low=10.0,
        high=30.0,
        percentiles=(11.0, 12.0, 20.0, 28.0, 29.0),
        step=0.0,
        levels=900,
        change=0.5,
        rate=0.05,
        spikes=0,
        longest=Stretch(0, 0, 1),
        usual_run=2.0,
        ceiling=30.0,
        at_ceiling=0.001,
        converted=None,
    )
    return SensorFacts(**{**vars(whole), **changes})


def device(name: str = "a", sensors: dict[str, SensorFacts] | None = None, **changes: object):
    whole = {
        "device": name,
        "readings": 1000,
        "first": START,
        "last": START + 10_000 * SECOND,
        "every": 10 * SECOND,
        "gaps": 0,
        "longest": [],
        "copies": 0,
        "same_time": 0,
        "late": 0,
        "late_most": 0,
        "set_back": 0,
        "back": [],
        "old": 0,
        "ahead": 0,
        "lag": 0,
        "sensors": sensors or {"t": sensor()},
        "correlations": {},
        "sample": {},
    }
    return DeviceFacts(**{**whole, **changes})


def everything(stage: str, argument: str) -> bool:
    return True


def codes(*devices: DeviceFacts, late: tuple[int, ...] = (), live: bool = False) -> list[str]:
    seen = Seen(devices, findings(devices), late, live, everything)
    return [one.code for one in advise(seen)]


USUAL = ["Validate()", 'Impute(hold="2m")', 'Detect("auto")']
USUAL += ['Alert("score > 5.4", hold="10m")']


def test_clean_data_gets_the_usual_flow() -> None:
    assert codes(device()) == USUAL


def test_each_fault_brings_the_stage_that_is_meant_for_it() -> None:
    bins = [0] * 256
    bins[4 * 33] = 99
    stuck = sensor(longest=Stretch(START, START + 1000 * SECOND, 100))
    one = device(
        old=3,
        copies=5,
        late=99,
        late_most=12 * SECOND,
        gaps=1,
        longest=[(START, 900 * SECOND)],
        sensors={"t": stuck, "p": sensor(spikes=5, missing=7), "q": sensor()},
    )
    assert codes(one, late=tuple(bins)) == [
        "GuardClock()",
        "Deduplicate()",
        'Reorder(lateness="20s")',
        "Silent()",
        "Validate()",
        'Stuck(after="1m", sensors=["t"])',
        'Despike(wait="30s", sensors=["p"])',
        'Impute(hold="2m")',
        *USUAL[2:],
    ]


def test_sensors_at_different_rates_get_a_grid() -> None:
    slow = sensor(values=100, missing=900)
    assert 'Resample(every="2m")' in codes(device(sensors={"t": sensor(), "p": slow}))
    half = sensor(values=500, missing=500)
    assert 'Resample(every="20s")' in codes(device(sensors={"t": half, "p": half}))


def test_a_live_source_gets_a_guard_for_its_clocks() -> None:
    assert codes(device(), live=True)[0] == "GuardClock()"


def test_without_despike_the_rate_of_change_is_named() -> None:
    def has(stage: str, argument: str) -> bool:
        return stage != "despike"

    spiky = device(sensors={"t": sensor(spikes=4)})
    (validate,) = [
        a for a in advise(Seen([spiky], findings([spiky]), has=has)) if a.stage == "validate"
    ]
    assert 'Validate(rates={"t": 0.5})' in validate.reason


def test_only_what_is_registered_is_written() -> None:
    def has(stage: str, argument: str) -> bool:
        return stage in ("validate", "detect")

    seen = Seen([device(copies=5)], [], has=has)
    assert [one.stage for one in advise(seen)] == ["validate", "detect"]
    assert here("validate")
    assert here("impute", "hold")
    assert not here("impute", "forever")
    assert not here("levitate")


def test_limits_lie_far_outside_what_was_seen() -> None:
    low, high, why = limits([device()], "t") or (0, 0, "")
    assert (low, high) == (-44.0, 84.0)
    assert why == "10 to 30 in 1,000 values; wider by 3 spreads"


def test_limits_leave_out_what_stands_for_no_value() -> None:
    odd = sensor(low=-99.0, percentiles=(18.0, 19.0, 20.0, 21.0, 22.0))
    low, high, why = limits([device(sensors={"t": odd})], "t") or (0, 0, "")
    assert -99 < low < 10
    assert "beside -99 for no value" in why
    assert high > 30


def test_a_sensor_without_values_has_no_limits() -> None:
    assert limits([device(sensors={"t": sensor(values=0, missing=1000)})], "t") is None


def test_devices_that_differ_widely_are_told_to_have_their_own() -> None:
    big = sensor(low=1e6, high=9e6, percentiles=(1e6, 2e6, 4e6, 8e6, 9e6))
    fleet = [device(), device("b"), device("c", {"t": big})]
    assert "overrides" in (limits(fleet, "t") or ("", "", ""))[2]


def test_numbers_are_round_and_on_the_right_side() -> None:
    for value in (0.0, 3.21, -3.21, 1e-9, -1e12, 99.5):
        assert below(value) <= value <= above(value)
    assert at_least(0) == "10ms"
    assert at_least(10**18) == "90d"
