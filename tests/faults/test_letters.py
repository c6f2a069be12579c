"""Letters under kills: what is kept is what was set aside, and comes again once."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable

from lab import Ended, Lab

from streamflow.engine.letterbox import Selection, find, groups, redeliver
from streamflow.engine.letters import LETTERS

COUNT = 2000


def killed_now_and_then(
    lab: Lab, rng: random.Random, kills: int, within: float
) -> tuple[Ended, int]:
    """Run to the end, killed on the way, so many seconds after letters are open."""
    done = 0
    while True:
        process = lab.start(f"--workers={rng.choice([1, 2])}", "--epoch=20ms")
        if (
            done == kills
            or not lab.wait_for(process, lambda: lab.size(f"state/{LETTERS}-wal") > 0)
            or not lab.runs_for(process, rng.uniform(0, within))
        ):
            return lab.end(process), done
        lab.kill(process)
        done += 1


def test_kill(
    make_lab: Callable[..., Lab],
    rng: random.Random,
    torture: int,
    observe: Callable[[str, str, str], None],
) -> None:
    lab = make_lab("aside", SPEED="1500x")
    lines = [f"d{n % 7},{1_700_000_000 + n},{n}" for n in range(COUNT)]
    broken = set(range(5, COUNT, 20))
    lines = [f"{line},torn" if n in broken else line for n, line in enumerate(lines)]
    (lab.folder / "in.csv").write_text("\n".join(["device,time,n", *lines]) + "\n")
    most = max(2, torture // 2)
    ended, first = killed_now_and_then(lab, rng, most, within=0.8)
    assert ended.code == 0, ended.err
    odd = {n for n in range(COUNT) if n % 2} - broken
    balance = ended.balance
    assert (balance["dead"], balance["rejected"]) == (
        len(broken),
        [["only_even", "it is odd", len(odd)]],
    )
    assert balance["adds_up"]
    kept = find(lab.state, Selection())
    assert Counter(letter.kind for letter in kept) == {"dead": len(broken), "rejected": len(odd)}
    assert {int(one.place or 0) - 2 for one in kept if one.kind == "dead"} == broken
    assert {json.loads(one.payload)["n"] for one in kept if one.kind == "rejected"} == odd
    assert [one.id for one in kept] == list(range(1, len(kept) + 1)), "a number has a gap"

    assert redeliver(lab.state, Selection(kind="rejected")) == len(odd)
    assert redeliver(lab.state, Selection(numbers=(kept[0].id, kept[-1].id))) in (0, 1)
    lab.environment = {"MENDED": "1"}
    ended, second = killed_now_and_then(lab, rng, most, within=0.1)
    assert ended.code == 0, ended.err
    assert ended.balance["adds_up"]
    rows = [int(json.loads(line)["n"]) for line in lab.lines("rows.jsonl")]
    assert sorted(rows) == sorted(set(range(COUNT)) - broken), "each reading once"
    done = {group.kind: group.redelivered for group in groups(lab.state, Selection())}
    assert done["rejected"] == len(odd)
    totals = Counter[str]()
    for line in lab.lines("rows.jsonl"):
        row = json.loads(line)
        totals[row["device"]] = max(totals[row["device"]], row["total"])
    expected = Counter[str]()
    for n in set(range(COUNT)) - broken:
        expected[f"d{n % 7}"] += n
    assert totals == expected, "each reading counts once in its device's state"
    observe(
        "kill -9 while letters are kept and while they are redelivered",
        "as many letters as the balance says, each once; each redelivered reading has its effect "
        "once",
        f"{len(kept):,} letters, {len(odd):,} of them redelivered, over {first + second} kills",
    )
