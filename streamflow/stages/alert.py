"""Alert: a condition or a budget becomes episodes, opened and closed once, with a stable id."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from streamflow.core.batch import Batch, Mask
from streamflow.core.duration import duration
from streamflow.core.event import Event, iso
from streamflow.core.expr import Expr, parse
from streamflow.core.memory import Memory
from streamflow.core.schema import Schema
from streamflow.core.stage import Stage
from streamflow.core.state import State
from streamflow.errors import FlowError
from streamflow.stages import budget as budgets
from streamflow.stages.episode import (
    FIELDS,
    FLEET_FIELDS,
    FOREVER,
    STATUS,
    Pace,
    Seen,
    Turn,
    follow,
    lapse,
)
from streamflow.stages.explain import Explained
from streamflow.stages.explain import fields as explain_fields
from streamflow.stages.phases import CLOSED, OPENED

_THRESHOLD = re.compile(r"(\w+)\s*(>=?|<=?)\s*(-?[\d.]+(?:[eE][+-]?\d+)?)")


@dataclass(frozen=True)
class Alert(Stage):
    r"""Open an episode when a condition holds, and close it when it has ceased to for a while.

    A device's episode opens at the first reading at which `when` has held for `after`, and
    closes at the first reading at which `until` has held for `hold`, without `when` holding in
    between. Its events are of kind "alert" and have the episode's one id; their `status` is
    "opened", "ongoing", or how it ended: "closed", "new_normal", "maintenance", "silent". The
    column `alert` is 1 while it is open.

    With `budget` in the place of `when`, each device finds its own limit. Its time is cut into
    blocks of a sixteenth of the time T in which the budget has one episode, and the largest score
    of a block is a peak; an open episode is one block, however long. After a history of length H,
    4 T to 8 T once a device is that old, the limit is the peak of rank

    $$r = \lfloor H/T + 1/2 - \max(0, n - H/T) \rfloor$$

    from the top, n the episodes opened in H; there is none, and no alert, while r < 1 or
    n + 1 > 2 H/T. If peaks are exchangeable, the next of N is among the r largest with
    probability r / (N + 1), so this happens about H/T times in H, whatever the scores'
    distribution: a conformal p-value of block maxima. Blocks and `hold` decluster what is
    autocorrelated. Where scores keep rising, the term with n raises the limit, and the last
    condition keeps a device within twice its budget from its first reading on.

    What the column `maintenance` marks with 1 opens nothing, ends what is open and enters no
    history. Where the column `learning` is 1 an episode opens only above twice the limit, with a
    budget above twice the largest peak kept, and never by a condition that is not a column
    compared with a number; no score enters the history there.

    Parameters
    ----------
    when
        The condition, such as "score > 0.95".
    until
        The condition that ends it; default: `when` does not hold. For hysteresis, as in
        Alert("score > 0.95", until="score < 0.8").
    after
        How long `when` must hold without a break, in event time, before an episode opens.
    hold
        How long `until` must hold without a break, in event time, before it closes: an episode
        does not end and start again at every swing. Default "0s", with a budget T / 16.
    budget
        How many episodes a device may open, as "3 per device per week"; or per hour, day, month
        (30 days), year. Of event time in which it sends: a silence counts up to T.
    of
        The column that a budget is on; default the last score.
    prior
        "fleet": until a device has a history of T, it may alert once above the median of the
        latest 15 limits of devices of its shard older than 2 T, and above all its own peaks. This
        looks across devices. Default: a young device keeps silent.
    severe
        A condition that makes an episode severe, as `severity` says. With a budget by default a
        score above all peaks kept.
    quiet
        How long after a close only a value above the last episode's peak opens another.
    update
        The least time between two events of an episode on its way: it is "ongoing" when it has
        become severe, or its peak has doubled, since the last.
    new_normal
        After so long an episode is taken for a new level of the device and closes. The condition
        opens none again up to the greatest value of the second half of that time and, beyond, by
        the range of these values; until it has not held at all for as long. Default: never.
    silent
        An episode whose device has sent nothing for so long closes. None: it stays open.
    explain
        An opening has the field `explanation`: the `sensors`, the value and what was `expected`
        of each, the running mean of its good values, and its `share`; the `cause` that it looks
        like, of "machine", "sensor" (a single one is flagged as faulty), "network" (values or
        readings are missing) and "clock" (times repeat, go back or lie ahead of their arrival);
        and the same in `words`. Shares are of the score's fall if that sensor alone were as
        expected, among sensors at least half as many deviations off as the farthest one, if there
        is `Detect(explain=True)` and it fell (`by` says "score"); else of the deviations.

    Raises
    ------
    FlowError
        If a condition or duration cannot be read, or names a column that does not exist; if there
        are both a condition and a budget, or none.

    Examples
    --------
    >>> from streamflow import Flow
    >>> flow = Flow("doc", sensors=["t"]) | Alert("t > 30", hold="2s")
    >>> temperatures = [20.0, 35.0, 20.0, 35.0, 20.0, 20.0, 20.0]
    >>> rows = [{"device": "a", "time": i, "t": t} for i, t in enumerate(temperatures)]
    >>> [(e.fields["status"], e.time // 10**9) for e in flow.replay(rows).alerts]
    [('opened', 1), ('closed', 6)]

    >>> flow = Flow("doc", sensors=["t"]) | Alert(budget="1 per device per hour", of="t")
    >>> rows = [{"device": "a", "time": 60 * i, "t": i % 7} for i in range(600)]
    >>> rows[500]["t"] = 90
    >>> opened = flow.replay(rows).alerts[0].fields
    >>> opened["t"], opened["level"]
    (90.0, 6.0)

    References
    ----------
    Gumbel, E. J. (1941). The return period of flood flows. Annals of Mathematical Statistics
    12(2), 163-190.

    Leadbetter, M. R. (1991). On a basis for 'peaks over threshold' modeling. Statistics and
    Probability Letters 12(4), 357-362.

    Laxhammar, R. and Falkman, G. (2014). Online learning and sequential anomaly detection in
    trajectories. IEEE Transactions on Pattern Analysis and Machine Intelligence 36(6), 1158-1173.

    Gibbs, I. and Candès, E. (2021). Adaptive conformal inference under distribution shift.
    Advances in Neural Information Processing Systems 34.
    """

    when: str | None = None
    until: str | None = None
    after: str = "0s"
    hold: str | None = None
    budget: str | None = None
    of: str | None = None
    prior: str | None = None
    severe: str | None = None
    quiet: str = "0s"
    update: str = "1h"
    new_normal: str | None = None
    silent: str | None = "1d"
    explain: bool = False
    _sensors: tuple[str, ...] = field(default=(), init=False, repr=False, compare=False)
    _columns: tuple[str, ...] = field(default=(), init=False, repr=False, compare=False)

    @property
    def fleet(self) -> bool:
        """Whether a young device's limit follows from others."""
        return self.prior is not None

    @property
    def adds(self) -> Sequence[str]:
        """`alert`, or `NAME_alert` for a named step."""
        return (f"{self.name}_alert" if self.name else "alert",)

    @property
    def uses(self) -> Sequence[str]:
        """The columns of its conditions, or of its budget."""
        conditions = (self._when, self._until, self._severe)
        named = [name for known in conditions if known for name in known.names]
        return (*([self.of] if self.of else []), *named)

    @property
    def threshold(self) -> tuple[str, str, float] | None:
        """Column, sign and number, if `when` is no more than a column compared with a number."""
        plain = _THRESHOLD.fullmatch((self.when or "").strip())
        return (plain[1], plain[2], float(plain[3])) if plain else None

    @cached_property
    def memory(self) -> Memory:
        """The episode, with a budget the peaks of the scores, and what explains it."""
        fields = FIELDS | (budgets.fields() if self.budget is not None else {})
        if self.explain:
            fields |= explain_fields(self._sensors)
        return Memory(fields, fleet=FLEET_FIELDS if self.prior else {})

    def bind(self, schema: Schema) -> Self:
        """Check the conditions and durations, or the budget and its column."""
        if (self.when is None) == (self.budget is None):
            given = "both when= and budget=" if self.when else "neither when= nor budget="
            raise FlowError(
                f"step {self.step!r} has {given}; give it one: a condition such as "
                f"'score > 0.95', or a budget such as '3 per device per week'"
            )
        for key in ("when", "until", "severe"):
            if (text := getattr(self, key)) is not None:
                parse(text).check(self.step, key, schema.columns, schema.tags)
        bound = replace(self, of=self._chosen(schema))
        object.__setattr__(bound, "_columns", schema.columns)
        object.__setattr__(bound, "_sensors", tuple(schema.sensors))
        pace = bound._pace
        if pace.new_normal <= max(pace.after, pace.hold):
            raise FlowError(
                f"step {self.step!r}: new_normal={self.new_normal!r} must be longer than after="
                f"{self.after!r} and hold={self.hold or '0s'!r}: an episode would end as it begins"
            )
        return bound

    def _chosen(self, schema: Schema) -> str | None:
        """The column of the budget."""
        if self.budget is None:
            for key in ("of", "prior"):
                if getattr(self, key) is not None:
                    raise FlowError(f"step {self.step!r}: {key}= is for a budget; it has when=")
            return None
        budgets.parse(self.step, self.budget)
        if self.prior not in (None, "fleet"):
            raise FlowError(f"step {self.step!r}: prior={self.prior!r}; it is 'fleet' or None")
        scores = _scores(schema.columns)
        if self.of is None and not scores:
            raise FlowError(
                f"step {self.step!r}: a budget is on a score, and there is none here; put a "
                f"Detect before it, or name a column with of="
            )
        chosen = scores[-1] if self.of is None else self.of
        schema.require(self.step, "of", [chosen])
        return chosen

    def on_batch(self, batch: Batch, state: State) -> tuple[Batch, list[Event]]:
        """Follow each device's phase in a kernel; only what is told becomes an object."""
        alert = np.zeros(len(batch))
        seen = self._seen(batch)
        explained = Explained.of(batch, self._sensors, state) if self.explain else None
        # A budget looks at every score, a new normal at every reading without the condition.
        watching = self.budget is not None or self.new_normal is not None
        if not (watching or seen.holds.any() or (state["phase"][batch.device] != CLOSED).any()):
            return batch.with_columns({self.adds[0]: alert}), []
        turns = follow(state, batch, seen, self._pace, alert)
        events = [self._event(state, turn, batch, explained) for turn in turns]
        return batch.with_columns({self.adds[0]: alert}), events

    def on_tick(self, now: int, state: State) -> tuple[Batch | None, list[Event]]:
        """Close the episodes of devices that have fallen silent."""
        if self.silent is None:
            return None, []
        return None, [self._event(state, turn) for turn in lapse(state, now, self._pace.silent)]

    def warm(self, batch: Batch, state: State) -> None:
        """The kernel is called only when there is something to follow."""
        never, nothing = np.zeros(len(batch), bool), np.zeros(len(batch))
        seen = Seen(never, never, never, ~never, never, nothing)
        follow(state, batch, seen, self._pace, nothing)

    def _seen(self, batch: Batch) -> Seen:
        never = np.zeros(len(batch), bool)
        holds = self._when.mask(batch) if self._when else never
        learning = batch[self._learning] == 1 if self._learning else never
        if self._when and self._learning:
            holds = holds & (~learning | self._strongly(batch))
        return Seen(
            holds,
            self._until.mask(batch) if self._until else ~never,
            self._severe.mask(batch) if self._severe else (None if self.budget else never),
            batch["maintenance"] == 1 if "maintenance" in self._columns else never,
            learning,
            self._sign * batch[self._level] if self._level else np.full(len(batch), np.nan),
        )

    def _strongly(self, batch: Batch) -> Mask:
        """Where the condition holds even for a young detector."""
        if self.threshold is None:
            return np.zeros(len(batch), bool)
        column, _, limit = self.threshold
        return self._sign * batch[column] > self._sign * limit + abs(limit)

    def _event(
        self,
        state: State,
        turn: Turn,
        batch: Batch | None = None,
        explained: Explained | None = None,
    ) -> Event:
        opened = turn.kind == OPENED
        fields: dict[str, Any] = {"status": STATUS[turn.kind], "when": self._text}
        if opened:
            fields["since"] = iso(turn.begun)
            # What the event itself says counts, whatever the columns are called.
            fields |= {n: _plain(batch, n, turn.i) for n in self._told if batch and n not in fields}
            if self.budget:
                fields["level"] = turn.level
        else:
            seconds = (turn.time - turn.begun) / 1e9
            fields |= {"opened": iso(turn.begun), "seconds": seconds, "readings": turn.readings}
            if turn.peak == turn.peak:
                fields[f"peak_{self._level}"] = self._sign * turn.peak
        if self._severe or self.budget:
            fields["severity"] = "severe" if turn.severe else "moderate"
        if opened and explained and batch:
            score = next((n for n in self._told if n in self._scores), None)
            whole = batch[score][turn.i] if score else np.nan
            without = [
                batch[name][turn.i] if (name := f"{score}_without_{s}") in self._columns else np.nan
                for s in self._sensors
            ]
            fields["explanation"] = explained.at(turn.i, whole, without)
        id_from = None if opened else turn.begun
        return state.event("alert", turn.row, turn.time, fields, opened=id_from)

    @cached_property
    def _when(self) -> Expr | None:
        return None if self.when is None else parse(self.when)

    @cached_property
    def _until(self) -> Expr | None:
        return None if self.until is None else parse(self.until)

    @cached_property
    def _severe(self) -> Expr | None:
        return None if self.severe is None else parse(self.severe)

    @cached_property
    def _told(self) -> tuple[str, ...]:
        """The columns whose values an opening tells."""
        return self._when.names if self._when else (str(self.of),)

    @cached_property
    def _level(self) -> str | None:
        """The column that a peak is of."""
        return next((name for name in self._told if name in self._columns), None)

    @cached_property
    def _sign(self) -> float:
        """-1 where less is worse."""
        return -1.0 if self.threshold and self.threshold[1].startswith("<") else 1.0

    @cached_property
    def _scores(self) -> Sequence[str]:
        return _scores(self._columns)

    @cached_property
    def _learning(self) -> str | None:
        """The column that says whether the detector behind its score is young."""
        names = [f"{n.removesuffix('score')}learning" for n in self._told if n in self._scores]
        return next((name for name in names if name in self._columns), None)

    @cached_property
    def _text(self) -> str:
        return self.when or f"{self.of}: {self.budget}"

    @cached_property
    def _pace(self) -> Pace:
        budget = None if self.budget is None else budgets.parse(self.step, self.budget)
        usual_hold = budget.block if budget else 0
        return Pace(
            duration(self.after),
            usual_hold if self.hold is None else duration(self.hold),
            duration(self.quiet),
            duration(self.update),
            FOREVER if self.new_normal is None else duration(self.new_normal),
            FOREVER if self.silent is None else duration(self.silent),
            budget,
        )


def _scores(columns: Sequence[str]) -> list[str]:
    """Those that a `Detect` has added."""
    return [name for name in columns if name == "score" or name.endswith("_score")]


def _plain(batch: Batch, name: str, i: int) -> Any:
    """The value of a reading as JSON has it."""
    if name == "device":
        return batch.name(i)
    if name in batch.tags:
        return batch.tags[name].at(i)
    value = batch[name][i].item()
    return value if value == value else None
