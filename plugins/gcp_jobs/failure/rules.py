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
    """A family, and who may say so: the platform in an event, a container in its log."""

    kind: FailureClass
    phrases: re.Pattern[str]
    in_log: bool = True
    in_event: bool = True

    def knows(self, text: str, *, log: bool) -> bool:
        """Whether the text is of this family."""
        return (self.in_log if log else self.in_event) and bool(self.phrases.search(text))


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
        r"\boom(?:\b|-?kill)",
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
    Rule(FailureClass.PREEMPTED, _any(r"\bpreempt(?:ed|ion)\b"), in_log=False),
    Rule(
        FailureClass.HOST_LOST,
        _any(
            r"\b(?:VM|instance|worker|host|node)\b.{0,60}(?:stopped|shut ?down|terminated|crashed) unexpectedly",
            r"unexpectedly (?:stopped|shut down|terminated|rebooted)",
            r"host ?(?:error|event|maintenance)",
            r"(?:VM|instance) is (?:rebooted|recreated)",
        ),
        in_log=False,
    ),
    Rule(
        FailureClass.QUOTA,
        _any(
            r"quotas? .{0,80}exceeded",
            r"quota_?exceeded",
            r"exceed(?:s|ed)? .{0,30}quota",
            r"exceed(?:s|ed)? quota",
            r"(?:inadequate|insufficient) (?:\S+ )?quota",
            r"RESOURCE_?EXHAUSTED",
            r"quota violated",
            r"rate ?limits? ?exceeded",
            r"exceeded (?:\w+ )?rate ?limits?",
            r"too many .{0,30}(?:requests|operations|statements|jobs|connections|updates)",
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
            r"(?:failed|error|unable|cannot) (?:to )?(?:pull|resolve (?:reference|image))",
            r"response from daemon: (?:.{0,20} )?(?:head|get|unauthorized|denied)\b",
            r"\bname unknown\b",
            r"unexpected status from (?:head|get) request",
            r"repository .{0,60}(?:not found|does not exist)",
            r"OCI runtime",
            r"(?:start|create|starting) (?:the )?container process",
            r"executable file not found",
            r"failed to create (?:shim )?task",
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
            r"\borg(?:anization)? ?polic(?:y|ies)\b",
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
            rf"(?:lacks|not have) .{{0,20}}permission {_PERMISSION_NAME}",
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
            r"forbidden$",
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
            r"cannot be found",
            r"does ?n[o']t (?:exist|match)",
            r"\b(?:is|are) (?:not|in)[ -]?(?:valid|compatible|allowed|available for)\b",
            r"must (?:equal|match|not)\b",
            r"not implemented",
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
            r"connection (?:was |is )?(?:reset|refused|aborted|closed|lost|dropped|broken|timed out|error)",
            r"(?:closed|dropped|lost|reset|terminated) the connection",
            r"(?:get|obtain|acquire) a connection",
            r"\bSSL\w*error\b",
            r"unexpected EOF|\bEOF occurred",
            r"internal server error",
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
    # a container that tells of a deadline speaks of a call of its own, the platform of the task's
    Rule(FailureClass.NETWORK, _any(r"DEADLINE[_ ]?EXCEEDED"), in_event=False),
    Rule(FailureClass.TIMED_OUT, _any(r"DEADLINE[_ ]?EXCEEDED", r"\btime[d -]*out\b"), in_log=False),
    Rule(
        FailureClass.APPLICATION,
        _any(r"\b(?:container|replica|process|command)\b.{0,30} exited with"),
        in_log=False,
    ),
)


def match(text: str, *, log: bool) -> FailureClass | None:
    """Give the class of the first rule that knows the text. `log`: it is a line of the container's own."""
    return next((rule.kind for rule in RULES if rule.knows(text, log=log)), None)
