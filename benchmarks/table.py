"""A report as text."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.frame import Case, Report, median_or_none

HEADER = ("case", "unit", "ours", "baseline", "ratio", "lowest", "highest", "floor", "")


def render(report: Report) -> str:
    """The report as an aligned table under a line that says what ran and one that says where."""
    machine = ", ".join(f"{key} {value}" for key, value in report.machine.items())
    head = [f"{report.benchmark} ({report.size}): {report.about}", machine]
    if report.error is not None:
        return "\n".join([*head, "", f"FAILED: {report.error}"])
    rows = [HEADER, *(_row(case) for case in report.cases)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
    return "\n".join([*head, "", *(_aligned(row, widths) for row in rows)])


def _row(case: Case) -> tuple[str, ...]:
    verdict = "" if case.floor is None else "ok" if case.ok else "BELOW FLOOR"
    return (
        case.name,
        case.unit,
        _number(median_or_none(case.ours)),
        _number(median_or_none(case.baseline)),
        _ratio(case.ratio),
        _ratio(min(case.ratios, default=None)),
        _ratio(max(case.ratios, default=None)),
        _ratio(case.floor),
        verdict,
    )


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.ljust(width) if i < 2 or i == len(row) - 1 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
