"""The families of messages, one regular expression a class: codes and phrases of a family, never a whole text.

The order is the rules' precedence: what is more specific comes first (a refused quota is also a 403, a refused pull
also a missing right). Phrases are those of Compute Engine, Batch, Cloud Run, IAM, container engines, gRPC and the
HTTP clients of the common languages; the corpus in tests/gcp_jobs/failure shows real ones.
"""

import re
from dataclasses import dataclass

from gcp_jobs.failure.classes import FailureClass


@dataclass(frozen=True, slots=True)
class Rule:
    """A family. `in_log`: a container's own lines may say so too, not only the platform."""

    kind: FailureClass
    phrases: re.Pattern[str]
    in_log: bool = True


def _any(*phrases: str) -> re.Pattern[str]:
    return re.compile("|".join(phrases), re.IGNORECASE)


_PERMISSION_NAME = r"['\"]?\b[a-z]+\.[a-z]+\.[a-z]+\b['\"]?"

MEMORY = Rule(
    FailureClass.OUT_OF_MEMORY,
    _any(
        r"memory limit (?:of .{1,30} |was |is )?(?:exceeded|reached)",
        r"exceed\w* .{0,40}memory limit",
        r"out[ -]of[ -]?memory",
        r"outofmemory",
        r"\boom[ -]?kill",
        r"\bMemoryError\b",
        r"cannot allocate memory",
        r"bad_alloc",
    ),
)
TIMEOUT = Rule(
    FailureClass.TIMED_OUT,
    _any(
        r"maximum timeout",
        r"configured timeout",
        r"maximum run ?time",
        r"exceed\w* .{0,30}(?:timeout|deadline|time limit|max\w* duration)",
    ),
)

RULES: tuple[Rule, ...] = (
    Rule(
        FailureClass.STOCK_OUT,
        _any(
            r"RESOURCE_POOL_EXHAUSTED",
            r"(?:not|n't) have enough resources",
            r"currently unavailable in the \S+ (?:zone|region)",
            r"insufficient[ _]?capacity",
            r"\bstock-?out\b",
        ),
    ),
    MEMORY,
    Rule(
        FailureClass.QUOTA,
        _any(
            r"quotas? .{0,80}exceeded",
            r"quota_?exceeded",
            r"exceeded .{0,30}quota",
            r"(?:inadequate|insufficient) (?:\w+ )?quota",
            r"RESOURCE_?EXHAUSTED",
            r"rate ?limit ?exceeded",
            r"too many requests",
            r"\b(?:error|http|status|code)\W{0,3}429\b",
            r"insufficient free IP",
            r"IP_SPACE_EXHAUSTED",
        ),
    ),
    Rule(
        FailureClass.IMAGE,
        _any(
            r"manifest .{0,80}(?:unknown|not found)",
            r"pull access denied",
            r"(?:failed|error|unable|cannot) (?:to )?pull",
            r"(?:ImagePull|ErrImage)\w*",
            r"downloadArtifacts",
            r"permission to read the image",
            r"exec format error",
            r"\bimage ['\"]?\S{1,200} (?:was )?not found",
            r"no such image",
            r"unable to find image",
        ),
    ),
    Rule(
        FailureClass.CONFIGURATION,
        _any(
            r"\bconstraints/",
            r"constraint .{0,80}violated",
            r"CONDITION_?NOT_?MET",
            r"VPC (?:connector|Access)",
        ),
        in_log=False,
    ),
    Rule(
        FailureClass.PERMISSION,
        _any(
            r"PERMISSION_?DENIED",
            rf"permission {_PERMISSION_NAME} (?:is )?(?:required|denied)",
            rf"(?:required|lacks|not have) .{{0,40}}{_PERMISSION_NAME} (?:permission|access)",
            rf"lacks .{{0,20}}permission {_PERMISSION_NAME}",
            r"permission denied (?:on|for|while) ",
            r"access ?denied(?:exception)?:",
            r"not authorized to ",
            r"insufficient .{0,20}scopes?",
            r"act as the specified service account",
            r"needs \S+ role",
            r"has not been used in project",
            r"agent reporting correctly",
            r"\bunauthenticated\b",
            r"\b(?:error|http|status|code)\W{0,3}40[13]\b",
            r"\b40[13] (?:client error|forbidden|unauthorized|access|permission)",
        ),
    ),
    Rule(
        FailureClass.CONFIGURATION,
        _any(
            r"INVALID_?(?:ARGUMENT|FIELD)",
            r"invalid (?:value|field)",
            r"(?:error|status|code)\W{0,3}400\b",
        ),
    ),
    Rule(
        FailureClass.CONFIGURATION,
        _any(
            r"FAILED_?PRECONDITION",
            r"NOT_FOUND",
            r"(?:was |is )not found",
            r"\bnot found\b",
            r"does ?n[o']t (?:exist|match)",
            r"MISMATCH",
            r"field is invalid",
            r"must be (?:set|distinct|between|one of)",
            r"in (?:DESTROYED|DISABLED) state",
            r"not supported",
        ),
        in_log=False,
    ),
    TIMEOUT,
    Rule(
        FailureClass.NETWORK,
        _any(
            r"connection (?:was )?(?:reset|refused|aborted|closed|timed out|error)",
            r"\bE(?:CONN(?:RESET|REFUSED|ABORTED)|TIMEDOUT|PIPE|AI_AGAIN|NOTFOUND)\b",
            r"broken pipe",
            r"name resolution",
            r"getaddrinfo",
            r"name or service not known",
            r"no such host",
            r"network is unreachable",
            r"no route to host",
            r"(?:failed|unable) to (?:connect|establish)",
            r"could not (?:connect|resolve)",
            r"\bunavailable\b",
            r"service ?unavailable",
            r"bad gateway",
            r"gateway time-?out",
            r"\b50[234] (?:server error|failed|deadline)",
            r"handshak",
            r"i/o timeout",
            r"(?:read|connect|write) time(?:d )?-?out",
            r"timeout (?:awaiting|waiting|exceeded)",
            r"max retries exceeded",
            r"socket hang ?up",
            r"remote end closed",
        ),
    ),
    Rule(FailureClass.TIMED_OUT, _any(r"DEADLINE_?EXCEEDED", r"\btime[d -]*out\b"), in_log=False),
)


def match(text: str, *, log: bool) -> FailureClass | None:
    """Give the class of the first rule that knows the text. `log`: it is a line of the container's own."""
    return next((r.kind for r in RULES if (r.in_log or not log) and r.phrases.search(text)), None)
