from __future__ import annotations

from streamflow import Alert, Batch, Flow, Map, Reject
from streamflow.engine.rows import Rows
from streamflow.testing import Collect


def cold(r: dict[str, float]) -> Reject | None:
    return Reject("too cold") if r["t"] < 0 else None


def test_every_outlet_is_collected() -> None:
    rows, events, alerts = Collect(), Collect(of="events"), Collect(of="alerts")
    rejected, dead = Collect(of="rejected"), Collect(of="dead_letters")
    sent = [{"device": "a", "time": i, "t": t} for i, t in enumerate([20.0, 31.0, -1.0])]
    sent.append({"device": "a", "time": "noon", "t": 0.0})
    flow = Flow("all", sensors=["t"]) | Rows(sent) | Map(cold) | Alert("t > 30")
    for sink in (rows, events, alerts, rejected, dead):
        flow |= sink
    balance = flow.run(workers=2)
    assert balance.adds_up
    assert [row["t"] for row in rows.rows] == [20.0, 31.0]
    assert [row["status"] for row in alerts.rows] == ["opened"]
    assert events.items == alerts.items
    assert [row["reason"] for row in rejected.rows] == ["too cold"]
    assert [row["place"] for row in dead.rows] == [3]
    assert all(isinstance(item, Batch) for item in rows.items)


def test_collecting_does_not_change_what_a_sink_is() -> None:
    used, fresh = Collect(of="alerts"), Collect(of="alerts")
    used.open(None).write([])
    used.items.append("something")
    assert used == fresh
    assert used.items is not fresh.items
