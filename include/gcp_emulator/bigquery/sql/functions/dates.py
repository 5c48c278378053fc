"""Format elements of dates and times, and time zones.

https://cloud.google.com/bigquery/docs/reference/standard-sql/format-elements#format_elements_date_time
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gcp_emulator.bigquery.sql.functions.udf import Fault, Udf

EPOCH = datetime(1970, 1, 1)
ELEMENT = re.compile(r"%(E4Y|E\dS|E\*S|Ez|E[CcXxYy]|O[a-zA-Z]|.)", re.DOTALL)
OFFSET = re.compile(r"([+-])(\d{1,2})(?::?(\d{2}))?")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
CLOCK = frozenset("HIMSpPklfTRrXs")
TIMES, DATES = frozenset("HIMSps"), frozenset("Yymdbjs")
STAMP = re.compile(
    r"\s*(\d{4})-(\d{1,2})-(\d{1,2})(?:[ Tt](\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,6}))?)?\s*"
    r"(Z|z|[+-]\d{1,2}(?::\d{2})?|[A-Za-z_]+(?:/[A-Za-z_]+)*)?\s*"
)


@lru_cache(maxsize=256)
def zone(name: str) -> tzinfo:
    """A zone by its name or offset; Fault where there is none."""
    if name in ("UTC", "Z", "z"):
        return UTC
    if found := OFFSET.fullmatch(name.removeprefix("UTC")):
        span = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
        return timezone(-span if found[1] == "-" else span)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, IsADirectoryError):
        raise Fault(f"Invalid time zone: {name}") from None


def _known_zone(name: str) -> str:
    """The zone as DuckDB's ICU knows it; offsets have their sign turned round there (POSIX)."""
    zone(name)
    found = OFFSET.fullmatch(name.removeprefix("UTC"))
    if not found:
        return "UTC" if name in ("Z", "z") else name
    if int(found[3] or 0):
        raise Fault(f"A time zone of part of an hour ({name}) is not supported by the emulator")
    return f"Etc/GMT{'-' if found[1] == '+' else '+'}{int(found[2])}"


def micros(moment: datetime) -> int:
    """Microseconds since 1970 of a naive moment."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def _timestamp(text: str) -> int | None:
    found = STAMP.fullmatch(text)
    if not found:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    try:
        naive = datetime(year, month, day, hour, minute, second, int((found[7] or "").ljust(6, "0")))
        at = zone(found[8] or "UTC")
    except (ValueError, Fault):
        return None
    return micros(naive.replace(tzinfo=at).astimezone(UTC).replace(tzinfo=None))


def _offset(moment: datetime, separator: str) -> str:
    seconds = int((moment.utcoffset() or timedelta()).total_seconds())
    sign, minutes = ("-" if seconds < 0 else "+"), abs(seconds) // 60
    return f"{sign}{minutes // 60:02d}{separator}{minutes % 60:02d}"


def _hour12(moment: datetime) -> int:
    return moment.hour % 12 or 12


def _fraction(moment: datetime, digits: str) -> str:
    if digits == "*":
        left = f"{moment.microsecond:06d}".rstrip("0")
        return f"{moment.second:02d}" + (f".{left}" if left else "")
    places = min(int(digits), 6)
    return f"{moment.second:02d}" + (f".{moment.microsecond:06d}"[: places + 1] if places else "")


_WRITE: Mapping[str, Callable[[datetime], str]] = {
    "A": lambda at: DAYS[at.weekday()],
    "a": lambda at: DAYS[at.weekday()][:3],
    "B": lambda at: MONTHS[at.month - 1],
    "b": lambda at: MONTHS[at.month - 1][:3],
    "h": lambda at: MONTHS[at.month - 1][:3],
    "C": lambda at: f"{at.year // 100:02d}",
    "D": lambda at: f"{at.month:02d}/{at.day:02d}/{at.year % 100:02d}",
    "d": lambda at: f"{at.day:02d}",
    "e": lambda at: f"{at.day:2d}",
    "F": lambda at: f"{at.year}-{at.month:02d}-{at.day:02d}",
    "G": lambda at: str(at.isocalendar().year),
    "g": lambda at: f"{at.isocalendar().year % 100:02d}",
    "H": lambda at: f"{at.hour:02d}",
    "I": lambda at: f"{_hour12(at):02d}",
    "j": lambda at: f"{at.timetuple().tm_yday:03d}",
    "k": lambda at: f"{at.hour:2d}",
    "l": lambda at: f"{_hour12(at):2d}",
    "M": lambda at: f"{at.minute:02d}",
    "m": lambda at: f"{at.month:02d}",
    "n": lambda at: "\n",
    "P": lambda at: "pm" if at.hour >= 12 else "am",
    "p": lambda at: "PM" if at.hour >= 12 else "AM",
    "Q": lambda at: str((at.month + 2) // 3),
    "R": lambda at: f"{at.hour:02d}:{at.minute:02d}",
    "S": lambda at: f"{at.second:02d}",
    "s": lambda at: str(micros(at.astimezone(UTC).replace(tzinfo=None)) // 1_000_000),
    "T": lambda at: f"{at:%H:%M:%S}",
    "X": lambda at: f"{at:%H:%M:%S}",
    "t": lambda at: "\t",
    "U": lambda at: f"{at:%U}",
    "u": lambda at: str(at.isoweekday()),
    "V": lambda at: f"{at.isocalendar().week:02d}",
    "W": lambda at: f"{at:%W}",
    "w": lambda at: str(at.isoweekday() % 7),
    "x": lambda at: f"{at.month:02d}/{at.day:02d}/{at.year % 100:02d}",
    "Y": lambda at: str(at.year),
    "y": lambda at: f"{at.year % 100:02d}",
    "z": lambda at: _offset(at, ""),
    "Z": lambda at: at.tzname() or "UTC",
    "E4Y": lambda at: f"{at.year:04d}",
    "Ez": lambda at: _offset(at, ":"),
    "%": lambda at: "%",
    "c": lambda at: (
        f"{DAYS[at.weekday()][:3]} {MONTHS[at.month - 1][:3]} {at.day:2d} {at:%H:%M:%S} {at.year}"
    ),
}


def _written(template: str, moment: datetime) -> str:
    def one(found: re.Match[str]) -> str:
        element = found[1]
        if element.startswith("E") and element.endswith("S"):
            return _fraction(moment, element[1])
        if element not in _WRITE:
            raise Fault(f"Format element %{element} is not supported by the emulator")
        return _WRITE[element](moment)

    return ELEMENT.sub(one, template)


def _format_timestamp(template: str, at: int, where: str) -> str:
    moment = (EPOCH + timedelta(microseconds=at)).replace(tzinfo=UTC).astimezone(zone(where))
    if "Z" in ELEMENT.findall(template) and isinstance(moment.tzinfo, timezone) and moment.tzinfo != UTC:
        raise Fault("Format element %Z of an offset is not supported by the emulator")
    return _written(template, moment)


def _format_civil(template: str, at: int, kind: str) -> str:
    for element in ELEMENT.findall(template):
        if kind == "time" and element[-1] not in CLOCK | {"n", "t", "%"}:
            raise Fault(f"Format element %{element} in FORMAT_TIME is not supported by the emulator")
        if element in ("Z", "z", "Ez", "s") or (
            kind == "date" and element[-1] in CLOCK and element[-1] != "P"
        ):
            raise Fault(
                f"Format element %{element} in FORMAT_{kind.upper()} is not supported by the emulator"
            )
    return _written(template, (EPOCH + timedelta(microseconds=at)).replace(tzinfo=UTC))


_NAMES = "|".join
_READ: Mapping[str, str] = {
    "Y": r"(?P<Y>\d{1,4})", "E4Y": r"(?P<Y>\d{4})", "y": r"(?P<y>\d{1,2})", "m": r"\s*(?P<m>\d{1,2})",
    "d": r"\s*(?P<d>\d{1,2})", "e": r"\s*(?P<d>\d{1,2})", "H": r"\s*(?P<H>\d{1,2})", "k": r"\s*(?P<H>\d{1,2})",
    "I": r"\s*(?P<I>\d{1,2})", "l": r"\s*(?P<I>\d{1,2})", "M": r"\s*(?P<M>\d{1,2})", "S": r"\s*(?P<S>\d{1,2})",
    "E*S": r"\s*(?P<S>\d{1,2}(?:\.\d+)?)", "p": r"(?P<p>[AaPp][Mm])",
    "P": r"(?P<p>[AaPp][Mm])", "j": r"\s*(?P<j>\d{1,3})",
    "s": r"(?P<s>-?\d+)", "z": r"(?P<z>[+-]\d{2}:?\d{2}|[Zz])", "Ez": r"(?P<z>[+-]\d{2}:?\d{2}|[Zz])", "%": "%",
    "B": rf"(?P<b>{_NAMES(MONTHS)}|{_NAMES(name[:3] for name in MONTHS)})",
    "A": rf"(?:{_NAMES(DAYS)}|{_NAMES(name[:3] for name in DAYS)})", "n": r"\s*", "t": r"\s*",
}  # fmt: skip
_WHOLE = {"F": "%Y-%m-%d", "T": "%H:%M:%S", "X": "%H:%M:%S", "R": "%H:%M", "D": "%m/%d/%y", "x": "%m/%d/%y"}
_SAME = {"b": "B", "h": "B", "a": "A"}


@lru_cache(maxsize=256)
def _reader(template: str) -> re.Pattern[str]:
    whole = ELEMENT.sub(lambda found: _WHOLE.get(found[1], found[0]), template)
    made, end = [], 0
    for found in ELEMENT.finditer(whole):
        made.append(_plain(whole[end : found.start()]))
        element = _SAME.get(found[1], found[1])
        if re.fullmatch(r"E\dS", element):
            element = "E*S"
        if element not in _READ:
            raise Fault(f"Parsing the format element %{found[1]} is not supported by the emulator")
        made.append(_READ[element])
        end = found.end()
    made.append(_plain(whole[end:]))
    try:
        return re.compile(r"\s*" + "".join(made) + r"\s*", re.IGNORECASE | re.ASCII)
    except re.error:  # one element twice
        raise Fault(f"Parsing by the format {template} is not supported by the emulator") from None


def _plain(text: str) -> str:
    return "".join(r"\s*" if letter.isspace() else re.escape(letter) for letter in text)


def _parse(template: str, text: str, where: str, kind: str) -> int:
    found = _reader(template).fullmatch(text)
    if not found:
        raise Fault(f'Failed to parse input string "{text}"')
    read = found.groupdict()
    if (kind == "date" and read.keys() & TIMES) or (kind == "time" and read.keys() & DATES):
        raise Fault(f"Elements of another type in the format {template} are not supported by the emulator")
    if read.get("s"):
        return int(read["s"]) * 1_000_000
    try:
        moment = _moment(read)
    except ValueError:
        raise Fault(f'Failed to parse input string "{text}"') from None
    if kind == "timestamp":
        at = zone(read.get("z") or where)
        there = moment
        moment = moment.replace(tzinfo=at).astimezone(UTC).replace(tzinfo=None)
        if moment.replace(tzinfo=UTC).astimezone(at).replace(tzinfo=None) != there:
            raise Fault(f"A time that the zone skips ({text} {where}) is not supported by the emulator")
    return micros(moment)


def _moment(read: Mapping[str, str | None]) -> datetime:
    year = int(read.get("Y") or 1970)
    if short := read.get("y"):
        year = int(short) + (1900 if int(short) >= 69 else 2000)
    month = int(read.get("m") or 1)
    if name := read.get("b"):
        month = next(at for at, full in enumerate(MONTHS, 1) if full.lower().startswith(name.lower()[:3]))
    hour = int(read.get("H") or 0)
    if twelve := read.get("I"):
        if not 1 <= int(twelve) <= 12:
            raise ValueError(twelve)
        hour = int(twelve) % 12 + (12 if (read.get("p") or "").lower() == "pm" else 0)
    seconds, _, fraction = (read.get("S") or "0").partition(".")
    made = datetime(year, month, int(read.get("d") or 1), hour, int(read.get("M") or 0), int(seconds))
    if number := read.get("j"):
        made = made.replace(month=1, day=1) + timedelta(days=int(number) - 1)
    return made + timedelta(microseconds=int(fraction[:6].ljust(6, "0") or 0) if fraction else 0)


def _interval_text(months: int, days: int, at: int) -> str:
    sign = "-" if months < 0 else ""
    clock = abs(at) // 1_000_000
    left = f"{abs(at) % 1_000_000:06d}" if abs(at) % 1_000_000 else ""
    left = left[:3] if left.endswith("000") else left
    time = f"{'-' if at < 0 else ''}{clock // 3600}:{clock // 60 % 60}:{clock % 60}" + (
        f".{left}" if left else ""
    )
    return f"{sign}{abs(months) // 12}-{abs(months) % 12} {days} {time}"


FUNCTIONS = {
    "zone": Udf(_known_zone, ("VARCHAR",), "VARCHAR"),
    "timestamp": Udf(_timestamp, ("VARCHAR",), "BIGINT"),
    "format_timestamp": Udf(_format_timestamp, ("VARCHAR", "BIGINT", "VARCHAR"), "VARCHAR"),
    "format_civil": Udf(_format_civil, ("VARCHAR", "BIGINT", "VARCHAR"), "VARCHAR"),
    "parse": Udf(_parse, ("VARCHAR", "VARCHAR", "VARCHAR", "VARCHAR"), "BIGINT"),
    "interval_text": Udf(_interval_text, ("BIGINT", "BIGINT", "BIGINT"), "VARCHAR"),
}
