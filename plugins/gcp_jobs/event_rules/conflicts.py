"""What is wrong between rules: two that want one event, and jobs that would start each other in a circle. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gcp_jobs.event_rules.model import Rule
from gcp_jobs.spec import JobSpec


def doubles(rules: Sequence[Rule], subscription: str) -> Iterator[tuple[Rule, Rule, str]]:
    """Give pairs of which one certainly wants whatever the other wants, and why.

    What only some event shows (two globs that overlap) is told when it comes (Judge.rule).

    :param subscription: of rules that name none
    """
    for number, a in enumerate(rules):
        for b in rules[number + 1 :]:
            if why := _covers(a, b, subscription) or _covers(b, a, subscription):
                yield a, b, why


def _covers(wide: Rule, narrow: Rule, subscription: str) -> str:
    a, b = wide.source, narrow.source
    conditions = not (set(a.attributes.items()) - set(b.attributes.items()))
    if not conditions or a.bucket != b.bucket:
        return ""
    if a.bucket is None:
        same = short(a.subscription or subscription) == short(b.subscription or subscription)
        return f"messages of {a.subscription or subscription}" if same else ""
    inside = a.event == b.event and b.prefix.startswith(a.prefix)
    if inside and (a.glob == "*" or (a.glob == b.glob and a.prefix == b.prefix)):
        return f"{b.event} of gs://{b.bucket}/{b.prefix}{b.glob}"
    return ""


def short(subscription: str) -> str:
    """Give a subscription's own name."""
    return subscription.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Way:
    """A circle: the names of its rules, and what it leads over."""

    first: str
    text: str

    def __str__(self) -> str:
        return self.text


def loops(rules: Sequence[Rule], specs: Mapping[str, JobSpec]) -> Iterator[Way]:
    """Give each circle of rules in which a job writes what starts the next.

    :param specs: what each rule's template says: it writes where it mounts a bucket, unless the rule says otherwise
    """
    starts = {a.name: {b.name: out for b in rules if (out := _writes(a, specs[a.name], b))} for a in rules}
    for rule in rules:
        if way := _back(starts, rule.name, rule.name, ()):
            onward = zip(way, (*way[1:], way[0]), strict=True)
            hops = [f"{name} writes to gs://{starts[name][to]}, which starts {to}" for name, to in onward]
            yield Way(rule.name, "; ".join(hops))


def _back(
    starts: Mapping[str, Mapping[str, str]], here: str, home: str, been: tuple[str, ...]
) -> tuple[str, ...]:
    """Give the way from a rule back to where it began."""
    if home in starts[here]:
        return (*been, here)
    for after in starts[here]:
        if after not in (*been, here) and (way := _back(starts, after, home, (*been, here))):
            return way
    return ()


def _writes(rule: Rule, spec: JobSpec, into: Rule) -> str:
    """Give where a rule's job writes what the other rule watches, empty where it does not."""
    source = into.source
    for out in outputs(rule, spec):
        bucket, _, prefix = out.partition("/")
        nested = prefix.startswith(source.prefix) or source.prefix.startswith(prefix)
        if bucket == source.bucket and nested:
            return out
    return ""


def outputs(rule: Rule, spec: JobSpec) -> list[str]:
    """Give where a rule's job writes, as bucket/prefix."""
    if rule.output:
        return [rule.output.removeprefix("gs://")]
    return [volume.gcs for volume in spec.volumes if volume.gcs and not volume.read_only]
