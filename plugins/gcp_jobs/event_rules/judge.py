"""Which rule an event meets, and what it makes of it. Pure, but for the clock and what the guard remembers."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from gcp_jobs.event_rules.event import Event
from gcp_jobs.event_rules.model import Rule, field_value
from gcp_jobs.event_rules.start import Start
from gcp_jobs.event_rules.values import Misfit, find, read

HOUR_S = 3_600.0
REASON, CAME_BY = "gcp_jobs_reason", "gcp_jobs_subscription"  # attributes of an event that is dead-lettered


class Poison(Exception):
    """An event that starts nothing, however often it comes: the text says why, `rule` which rule said so."""

    def __init__(self, reason: str, rule: str = "") -> None:
        self.reason, self.rule = reason, rule
        super().__init__(reason)


class Judge:
    """Judges events by rules, one after the other."""

    def __init__(self, rules: Sequence[Rule], clock: Callable[[], float] = time.monotonic) -> None:
        self._rules = rules
        self._written = Recent(clock)
        self._folders = Recent(clock)

    def start(self, event: Event) -> Start:
        """Give the run that an event asks for; raises Poison."""
        rule = self.rule(event)
        try:
            depth = event.depth
            self._check(rule, event, depth)
            return self._start(rule, event, depth)
        except Misfit as error:
            raise Poison(str(error), rule.name) from None

    def rule(self, event: Event) -> Rule:
        """Give the one rule that wants the event; raises Poison where none does, or more than one."""
        wanting = [rule for rule in self._rules if _wants(rule, event)]
        if not wanting:
            raise Poison("no rule wants it")
        if len(wanting) > 1:
            names = ", ".join(rule.name for rule in wanting)
            raise Poison(f"rules {names} all want it: one event starts one job", names)
        return wanting[0]

    def _start(self, rule: Rule, event: Event, depth: int) -> Start:
        params = {name: _param(name, read(value, event)) for name, value in rule.params.items()}
        identity = event.identity
        if rule.identity:
            own = "\n".join(find(event, path) for path in rule.identity)
            identity = f"{rule.name}#{hashlib.sha256(own.encode()).hexdigest()}"
        publisher = find(event, rule.publisher, "")[:200] if rule.publisher else ""
        return Start(
            rule.name, identity, rule.template, rule.backend,
            {name: read(value, event) for name, value in rule.env.items()},
            None if rule.args is None else tuple(read(value, event) for value in rule.args),
            params, f"event rule {rule.name}" + (f", published by {publisher}" if publisher else ""), depth,
            event.published,
        )  # fmt: skip

    def _check(self, rule: Rule, event: Event, depth: int) -> None:
        """The guard against jobs that start themselves."""
        guard = rule.guard
        if depth > guard.depth:
            raise Misfit(
                f"{depth} jobs have started each other in a row, {guard.depth} are allowed (guard.depth)"
            )
        if not event.tells_of_object:
            return
        bucket, name = event.attributes["bucketId"], event.attributes["objectId"]
        written = self._written.count(f"{bucket}/{name}", event.identity)
        if written > guard.same_object_per_hour:
            raise Misfit(
                f"gs://{bucket}/{name} was written {written} times within the hour (guard.same_object_per_hour): "
                "does the job write what starts it?"
            )
        folder = f"{bucket}/{name.rpartition('/')[0]}"
        if self._folders.count(folder, event.identity) > guard.per_folder_per_hour:
            raise Misfit(
                f"more than {guard.per_folder_per_hour} objects of gs://{folder}/ within the hour "
                "(guard.per_folder_per_hour): does the job write what starts it?"
            )


class Recent:
    """Counts different things under a key within the last hour: the same one told of again is not another."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: OrderedDict[str, OrderedDict[str, float]] = OrderedDict()

    def count(self, key: str, what: str) -> int:
        """Count `what` too and give how many there are."""
        now = self._clock()
        seen = self._seen.setdefault(key, OrderedDict())
        self._seen.move_to_end(key)
        while seen and next(iter(seen.values())) < now - HOUR_S:
            seen.popitem(last=False)
        seen.setdefault(what, now)
        while _latest(next(iter(self._seen.values()))) < now - HOUR_S:
            self._seen.popitem(last=False)
        return len(seen)


def _latest(seen: OrderedDict[str, float]) -> float:
    return next(reversed(seen.values()))


def _wants(rule: Rule, event: Event) -> bool:
    told, source = event.attributes, rule.source
    if any(name not in told or not fnmatchcase(told[name], like) for name, like in source.attributes.items()):
        return False
    if source.bucket is None:
        return True
    return event.tells_of_object and source.wants_object(
        told["eventType"], told["bucketId"], told["objectId"]
    )


def _param(name: str, text: str) -> object:
    try:
        return field_value(name, text)
    except ValueError as error:
        raise Misfit(f"param {name}: {error}") from None
