"""Signed URLs, V4 and V2: https://cloud.google.com/storage/docs/access-control/signed-urls.

The emulator has no service account's public key, so a signature is looked at, not verified: who signed, whether all
parameters are there and well-formed, whether the time is over, and whether the signed headers are in the request.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from gcp_emulator.storage.xml import XmlRefusal

NEEDED = ("X-Goog-Algorithm", "X-Goog-Credential", "X-Goog-Date", "X-Goog-Expires", "X-Goog-SignedHeaders")
ALGORITHMS = ("GOOG4-RSA-SHA256", "GOOG4-HMAC-SHA256")
CREDENTIAL = re.compile(r"([^/]+)/(\d{8})/([^/]+)/storage/goog4_request")
HEX = re.compile(r"(?:[0-9a-fA-F]{2}){32,512}")
LONGEST_S = 604_800
EARLY = timedelta(minutes=15)


def signer(query: Mapping[str, str], headers: Mapping[str, str], now: datetime) -> str | None:
    """Whose signature the URL has, None when it has none. XmlRefusal when it does not hold at `now` (UTC)."""
    if "X-Goog-Signature" in query:
        return _v4(query, headers, now)
    if "Signature" in query and "GoogleAccessId" in query:
        return _v2(query, now)
    return None


def _v4(query: Mapping[str, str], headers: Mapping[str, str], now: datetime) -> str:
    for name in NEEDED:
        if not query.get(name):
            raise _wrong(f"Missing query parameter {name}.")
    credential, expires = CREDENTIAL.fullmatch(query["X-Goog-Credential"]), query["X-Goog-Expires"]
    if query["X-Goog-Algorithm"] not in ALGORITHMS or credential is None:
        raise _wrong("X-Goog-Algorithm or X-Goog-Credential is malformed.")
    if not HEX.fullmatch(query["X-Goog-Signature"]):
        raise _mismatch()
    try:
        begin = datetime.strptime(query["X-Goog-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise _wrong("X-Goog-Date is malformed.") from error
    if not expires.isdigit() or not 0 < int(expires) <= LONGEST_S or f"{begin:%Y%m%d}" != credential[2]:
        raise _wrong(f"X-Goog-Expires must be 1 to {LONGEST_S} seconds, X-Goog-Date on the credential's day.")
    if begin > now + EARLY:
        raise XmlRefusal(403, "AccessDenied", "Access denied.", "Request signature is not valid yet.")
    _check_time(begin + timedelta(seconds=int(expires)), now)
    for name in query["X-Goog-SignedHeaders"].split(";"):
        if name not in headers:
            raise XmlRefusal(
                400,
                "MalformedSecurityHeader",
                "Your request has a malformed header.",
                f"Header was included in signedheaders, but not in the request: {name}",
            )
    return credential[1]


def _v2(query: Mapping[str, str], now: datetime) -> str:
    if not query.get("Expires", "").isdigit():
        raise _wrong("Expires is missing or malformed.")
    _check_time(datetime.fromtimestamp(int(query["Expires"]), UTC), now)
    return query["GoogleAccessId"]


def _check_time(end: datetime, now: datetime) -> None:
    if now > end:
        said = f"Request signature expired at: {end.isoformat()}"
        raise XmlRefusal(400, "ExpiredToken", "The provided token has expired.", said)


def _wrong(details: str) -> XmlRefusal:
    return XmlRefusal(400, "AuthenticationRequired", "Authentication required.", details)


def _mismatch() -> XmlRefusal:
    return XmlRefusal(
        403,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. "
        "Check your Google secret key and signing method.",
    )
