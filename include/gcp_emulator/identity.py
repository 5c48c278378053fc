"""Who calls: the bearer token's text, which our clients and the metadata server set to a service account."""

ANONYMOUS = "anonymous"


def caller(authorization: str | None) -> str:
    """The e-mail address in an `authorization` header, or `anonymous`."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() or ANONYMOUS if scheme.lower() == "bearer" else ANONYMOUS
