"""The report of a run: one HTML page without any other file, and the same figures as JSON."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from dog_breeds_tables.errors import WarehouseError
from dog_breeds_tables.figures import Bars, Figures
from dog_breeds_tables.project import Check

_STYLE = (
    ":root{color-scheme:light dark;--page:#fff;--text:#202124;--line:#ddd;--bar:#4285f4;--pass:#137333;--fail:#b3261e}"
    "@media(prefers-color-scheme:dark){:root{--page:#1b1c1f;--text:#e3e3e3;--line:#44474b;--bar:#8ab4f8;"
    "--pass:#81c995;--fail:#f28b82}}"
    "body{font:15px/1.45 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color:var(--text);"
    "background:var(--page)}"
    "table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{padding:.2rem .8rem;text-align:left;"
    "border-bottom:1px solid var(--line)}td{overflow-wrap:anywhere}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}"
    ".fail,.error{color:var(--fail)}.pass{color:var(--pass)}"
    "svg{max-width:100%}svg text{font:12px system-ui,sans-serif;fill:var(--text)}svg rect{fill:var(--bar)}"
)
_BAR_PX, _LABEL_PX, _WIDTH_PX = 18, 190, 640


def write(report: str, page: str, result: dict[str, Any]) -> None:
    """Puts page and result beside each other at `report`, with endings. Raises WarehouseError."""
    try:
        Path(report).parent.mkdir(parents=True, exist_ok=True)
        Path(f"{report}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        Path(f"{report}.html").write_text(page, encoding="utf-8")
    except OSError as error:
        raise WarehouseError(
            f"REPORT={report}: the report could not be written ({error}). The job's identity needs "
            "roles/storage.objectUser on the bucket that is mounted there"
        ) from error


def html(title: str, outcome: str, checks: Sequence[Check], figures: Figures | None) -> str:
    """The page; without figures it tells the outcome only."""
    parts = [f"<h1>{escape(title)}</h1><p>{escape(outcome)}</p><p>{datetime.now(UTC):%Y-%m-%d %H:%M} UTC</p>"]
    if figures:
        counts = [(name, "not there" if rows is None else rows) for name, rows in figures.rows.items()]
        parts += ["<h2>Rows</h2>", _table(("table", "rows"), counts)]
    if checks:
        parts += ["<h2>Checks</h2>", _table(("check", "outcome", "rows refused"), map(_check, checks))]
    if figures and figures.reasons:
        reasons = ((label, int(number)) for label, number in figures.reasons)
        parts += ["<h2>Quarantined</h2>", _table(("reason", "rows"), reasons)]
    if figures:
        rates = figures.null_rates.items()
        parts += ["<h2>Missing values</h2>", _table(("column", "share of rows"), rates)]
        parts += [f"<h2>{escape(name)}</h2>{bars(found)}" for name, found in figures.charts.items() if found]
    screen = '<meta name="viewport" content="width=device-width,initial-scale=1">'
    head = f'<meta charset="utf-8">{screen}<title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def bars(found: Bars) -> str:
    """A chart of horizontal bars as SVG."""
    most = max(number for _, number in found) or 1
    lines = []
    for at, (label, number) in enumerate(found):
        y, width = at * (_BAR_PX + 4), (_WIDTH_PX - _LABEL_PX - 50) * number / most
        lines.append(
            f'<text x="{_LABEL_PX - 8}" y="{y + 13}" text-anchor="end">{escape(label[:28])}</text>'
            f'<rect x="{_LABEL_PX}" y="{y}" width="{width:.1f}" height="{_BAR_PX}"/>'
            f'<text x="{_LABEL_PX + width + 6:.1f}" y="{y + 13}">{number:g}</text>'
        )
    height = len(found) * (_BAR_PX + 4)
    size = f'width="{_WIDTH_PX}" viewBox="0 0 {_WIDTH_PX} {height}"'
    return f'<svg {size} role="img">{"".join(lines)}</svg>'


def _check(check: Check) -> tuple[str, str, int]:
    return check.name, check.status, check.refused


def _table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(value: object) -> str:
    if isinstance(value, int | float):
        return (
            f'<td class="n">{value:,}</td>' if isinstance(value, int) else f'<td class="n">{value:.1%}</td>'
        )
    text = escape(str(value))
    return f'<td class="{text}">{text}</td>' if text in ("pass", "fail", "error") else f"<td>{text}</td>"
