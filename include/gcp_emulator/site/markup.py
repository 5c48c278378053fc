"""HTML, of which every text is escaped unless it is markup already."""

from collections.abc import Iterable, Sequence
from html import escape
from urllib.parse import quote

STYLE = (
    "body{font:14px/1.5 system-ui,sans-serif;margin:1.5rem;color:#202124;background:#fff}"
    "h1{font-size:1.3rem;overflow-wrap:anywhere}h2{font-size:1.05rem;margin:1.5rem 0 .3rem}"
    "table{border-collapse:collapse}th,td{text-align:left;padding:.15rem .8rem .15rem 0;vertical-align:top;"
    "border-bottom:1px solid #e0e0e0;overflow-wrap:anywhere}pre{white-space:pre-wrap;margin:0}"
    "a{color:#1a56c4}.note{color:#5f6368}"
)


class Html(str):
    """Markup, to be shown as it is."""

    __slots__ = ()


def html(value: object) -> Html:
    """Any value as markup."""
    return value if isinstance(value, Html) else Html(escape(str(value)))


def link(path: str, label: object) -> Html:
    """A link to a page of this server; `path` is a quoted one, as of `paths`."""
    return Html(f'<a href="{escape(path)}">{html(label)}</a>')


def note(text: object) -> Html:
    return Html(f'<p class="note">{html(text)}</p>')


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> Html:
    """A table, or a word that there is nothing."""
    body = "".join(f"<tr>{''.join(f'<td>{html(cell)}</td>' for cell in row)}</tr>" for row in rows)
    if not body:
        return note("none")
    head = "".join(f"<th>{html(text)}</th>" for text in heads)
    return Html(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


def facts(pairs: Iterable[tuple[str, object]]) -> Html:
    """Names and values, those without a value left out."""
    return table(("", ""), [pair for pair in pairs if str(pair[1])])


def section(title: str, *parts: Html) -> Html:
    return Html(f"<h2>{html(title)}</h2>{''.join(parts)}")


def document(title: str, *parts: Html) -> str:
    """A whole page."""
    home = link("/emulator/", "gcp_emulator")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html(title)}</title>'
        f"<style>{STYLE}</style></head><body><nav>{home}</nav><h1>{html(title)}</h1>{''.join(parts)}</body></html>"
    )


def execution_path(name: str) -> str:
    """The page of a Cloud Run execution."""
    return f"/emulator/executions/{quote(name)}"


def batch_path(name: str) -> str:
    """The page of a Batch job."""
    return f"/emulator/batch/{quote(name)}"


def logs_path(resource: str) -> str:
    """The page of the logs of an execution, a Batch job or a task of one."""
    return f"/emulator/logs?resource={quote(resource, safe='')}"
