"""google.api_core exceptions -> our errors, with the role that is missing and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from google.api_core import exceptions as google
from google.auth import exceptions as auth

from gcp_jobs.clients import Access, caller_of
from gcp_jobs.errors import (
    ApiError,
    ConfigurationRefused,
    ImageRefused,
    NotFound,
    PermissionRefused,
    QuotaExhausted,
    TransientApiError,
)

TRANSIENT = (
    google.TooManyRequests,
    google.InternalServerError,
    google.BadGateway,
    google.ServiceUnavailable,
    google.GatewayTimeout,
    google.Aborted,
    google.Cancelled,
    google.Unknown,
    google.RetryError,
    auth.TransportError,
    ConnectionError,
    TimeoutError,
)


@contextmanager
def explained(doing: str, where: str, role: str, access: Access | None = None) -> Iterator[None]:
    """Turn Google's exceptions from the block into ours.

    :param doing: what the block does, such as "run the job"
    :param where: the resource's full name
    :param role: the role that the caller needs on it
    :param access: how the caller reaches Google, which says who it is
    """
    try:
        yield
    except google.TooManyRequests as error:
        raise QuotaExhausted(f"no quota to {doing} just now: {_said(error)}", where=where) from error
    except TRANSIENT as error:
        raise TransientApiError(f"could not {doing} just now: {_said(error)}", where=where) from error
    except google.NotFound as error:
        if _image(error):
            raise _image_refused(doing, where, error) from error
        raise NotFound(
            f"could not {doing}: {_said(error)}", where=where, todo="Check project, region and name."
        ) from error
    except (google.Forbidden, google.Unauthorized) as error:
        raise PermissionRefused(
            f"not allowed to {doing}: {_said(error)}",
            where=where,
            todo=f"{caller_of(access) if access else 'The caller'} needs {role}.",
        ) from error
    except (google.BadRequest, google.Conflict) as error:
        if _image(error):
            raise _image_refused(doing, where, error) from error
        raise ConfigurationRefused(
            f"could not {doing}: {_said(error)}",
            where=where,
            todo="Correct the job's template or the overrides.",
        ) from error
    except (google.GoogleAPIError, auth.GoogleAuthError) as error:
        raise ApiError(f"could not {doing}: {_said(error)}", where=where) from error


def _said(error: Exception) -> str:
    text = getattr(error, "message", "") or str(error)
    return f"{type(error).__name__}: {str(text).strip()}" if text else type(error).__name__


def _image(error: google.GoogleAPICallError) -> bool:
    text = str(error.message).lower()
    return "image" in text and any(
        word in text for word in ("not found", "unauthorized", "denied", "does not exist")
    )


def _image_refused(doing: str, where: str, error: google.GoogleAPICallError) -> ImageRefused:
    return ImageRefused(
        f"could not {doing}: {_said(error)}",
        where=where,
        todo="Push the image, or correct `image` in the template (settings GCP_JOBS_REGISTRY, GCP_JOBS_IMAGE_TAG).",
    )
