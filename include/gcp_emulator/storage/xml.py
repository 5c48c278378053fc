"""The XML API's documents: lists, errors, parts. https://cloud.google.com/storage/docs/xml-api/overview"""

from collections.abc import Iterable
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from starlette.responses import Response

from gcp_emulator.json_api import Refusal
from gcp_emulator.storage.listing import Page

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
# https://cloud.google.com/storage/docs/xml-api/reference-status
CODES = {
    400: ("InvalidArgument", "Invalid argument."),
    403: ("AccessDenied", "Access denied."),
    404: ("NoSuchKey", "The specified key does not exist."),
    412: ("PreconditionFailed", "At least one of the pre-conditions you specified did not hold."),
    416: ("InvalidRange", "The requested range cannot be satisfied."),
    429: ("SlowDown", "Please reduce your request rate."),
    501: ("NotImplemented", "A header or query you provided requested a function that is not implemented."),
    503: ("ServiceUnavailable", "Service unavailable. Please retry."),
}


class XmlRefusal(Exception):
    """A refusal in the XML API's shape."""

    def __init__(self, status: int, code: str, message: str, details: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.details = status, code, message, details

    @classmethod
    def of(cls, error: Refusal) -> "XmlRefusal":
        """What the JSON API would say."""
        if error.status == 404 and error.message.endswith("bucket does not exist."):
            return cls(404, "NoSuchBucket", error.message)
        code, message = CODES.get(error.status, ("InternalError", "We encountered an internal error."))
        return cls(error.status, code, message, error.message)

    def answer(self) -> Response:
        pairs = [("Code", self.code), ("Message", self.message), ("Details", self.details)]
        return document("Error", _elements(pairs), self.status, namespace=False)


def document(root: str, inner: str, status: int = 200, *, namespace: bool = True) -> Response:
    about = f' xmlns="{NAMESPACE}"' if namespace else ""
    text = f"<?xml version='1.0' encoding='UTF-8'?><{root}{about}>{inner}</{root}>"
    return Response(text, status, media_type="application/xml; charset=UTF-8")


def listed(bucket: str, page: Page, prefix: str, delimiter: str) -> Response:
    """https://cloud.google.com/storage/docs/xml-api/get-bucket-list"""
    truncated = "true" if page.token else "false"
    head = [("Name", bucket), ("Prefix", prefix), ("Delimiter", delimiter), ("IsTruncated", truncated)]
    head += [("NextContinuationToken", page.token)]
    if page.token:
        head += [
            ("NextMarker", max([record.name for record in page.records] + page.prefixes, key=str.encode))
        ]
    items = "".join(
        "<Contents>"
        + _elements(
            [
                ("Key", record.name),
                ("Generation", str(record.generation)),
                ("MetaGeneration", str(record.metageneration)),
                ("LastModified", record.fields["updated"]),
                ("ETag", f'"{record.etag}"'),
                ("Size", str(record.size)),
            ]
        )
        + "</Contents>"
        for record in page.records
    )
    groups = "".join(
        f"<CommonPrefixes>{_elements([('Prefix', name)])}</CommonPrefixes>" for name in page.prefixes
    )
    return document("ListBucketResult", _elements(head) + items + groups)


def begun(bucket: str, name: str, upload: str) -> Response:
    pairs = [("Bucket", bucket), ("Key", name), ("UploadId", upload)]
    return document("InitiateMultipartUploadResult", _elements(pairs))


def completed(bucket: str, name: str, url: str, etag: str) -> Response:
    pairs = [("Location", url), ("Bucket", bucket), ("Key", name), ("ETag", f'"{etag}"')]
    return document("CompleteMultipartUploadResult", _elements(pairs))


def parts_of(text: bytes) -> list[tuple[int, str]]:
    """(number, ETag) of the parts that make up an object. XmlRefusal when it is malformed."""
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise _malformed()
    try:
        root = ElementTree.fromstring(text)
        found = []
        for part in root.iter():
            if part.tag.endswith("Part"):
                values = {child.tag.rpartition("}")[2]: child.text or "" for child in part}
                found.append((int(values["PartNumber"]), values["ETag"].strip('"')))
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise _malformed() from error
    return found


def _malformed() -> XmlRefusal:
    message = "The XML you provided was not well-formed or did not validate against our published schema."
    return XmlRefusal(400, "MalformedXML", message)


def _elements(pairs: Iterable[tuple[str, str]]) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in pairs if value)
