"""Reads the rules of the folders in GCP_JOBS_EVENT_RULE_FOLDERS, and refuses what cannot be meant."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from gcp_jobs.errors import RuleError
from gcp_jobs.event_rules.conflicts import doubles, loops
from gcp_jobs.event_rules.model import Guard, Rule, Source
from gcp_jobs.event_rules.templates import parsed
from gcp_jobs.event_rules.values import Reading
from gcp_jobs.settings import Settings
from gcp_jobs.strict_yaml import load, nearest

_TAGS = ("text", "reading")
_NESTED: Mapping[str, type[BaseModel]] = {"source": Source, "guard": Guard}


def rules(here: Settings) -> tuple[Rule, ...]:
    """Give all rules, by the names of their files; of two files of one name the first folder's counts.

    :raises RuleError: naming file, field and fix; two rules for one event, a job that would start itself
    """
    files: dict[str, Path] = {}
    for folder in here.event_rule_folders:
        for file in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
            files.setdefault(file.stem, file)
    found = [(files[stem], read(files[stem].read_text(), str(files[stem]))) for stem in sorted(files)]
    _refuse_doubled_names(found)
    known = [rule for _, rule in found]
    where = {rule.name: str(file) for file, rule in found}
    for a, b, why in doubles(known, here.event_subscription_name):
        raise RuleError(
            f"rules {a.name} and {b.name} both want the same events: {why}", where=f"{where[a.name]}, {where[b.name]}",
            todo="Narrow one of them: one event starts one job.",
        )  # fmt: skip
    specs = {rule.name: parsed(rule, here, where[rule.name]).spec for rule in known}
    for way in loops(known, specs):
        raise RuleError(
            f"jobs would start each other for ever: {way}", where=where[way.first],
            todo="Let the job write to another bucket or prefix, mount the bucket read_only, or say in `output` where "
            "it really writes.",
        )  # fmt: skip
    return tuple(known)


def read(text: str, source: str) -> Rule:
    """Check one rule's text; raises RuleError naming `source`, field and fix."""
    try:
        document = load(text)
    except yaml.YAMLError as error:
        raise RuleError(f"not valid YAML: {error}", where=source, todo="Correct the file.") from error
    if not isinstance(document, dict):
        raise RuleError("a rule is a mapping", where=source, todo="See gcp_jobs/event_rules.")
    try:
        return Rule.model_validate(document)
    except ValidationError as error:
        said = "; ".join(_explain(dict(each)) for each in error.errors())
        raise RuleError(said, where=source, todo="Correct the file.") from error


def _refuse_doubled_names(found: Sequence[tuple[Path, Rule]]) -> None:
    files: dict[str, Path] = {}
    for file, rule in found:
        if rule.name in files:
            raise RuleError(
                f"two rules are called {rule.name}", where=f"{files[rule.name]}, {file}", todo="Rename one."
            )
        files[rule.name] = file


def _explain(error: dict[str, Any]) -> str:
    steps = [str(step) for step in error["loc"] if step not in (*_TAGS, "[key]")]
    path = ".".join(steps) or "rule"
    if error["type"] == "extra_forbidden":
        return f"{path}: unknown field; {nearest(steps[-1], _fields(steps[:-1]))}"
    if error["type"] == "missing":
        return f"{path}: missing; add it"
    said = str(error["msg"]).removeprefix("Value error, ")
    shown = "" if error["type"] == "value_error" else f", got {error['input']!r}"
    return f"{path}: {said}{shown}"


def _fields(steps: Sequence[str]) -> Iterable[str]:
    """Name the fields that are right at a path."""
    model = Rule if not steps else _NESTED.get(steps[0], Reading)
    return [field.alias or name for name, field in model.model_fields.items()]
