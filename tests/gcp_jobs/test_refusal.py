"""Google's refusals in our words: what passes, what stays, which role is missing."""

import pytest
from google.api_core import exceptions as google

from gcp_jobs.backends.refusal import explained
from gcp_jobs.errors import (
    ApiError,
    ConfigurationRefused,
    GcpJobsError,
    ImageRefused,
    NotFound,
    PermissionRefused,
    QuotaExhausted,
    TransientApiError,
)

CASES = [
    (google.ResourceExhausted("quota"), QuotaExhausted),
    (google.TooManyRequests("429"), QuotaExhausted),
    (google.InternalServerError("500"), TransientApiError),
    (google.BadGateway("502"), TransientApiError),
    (google.ServiceUnavailable("503"), TransientApiError),
    (google.DeadlineExceeded("504"), TransientApiError),
    (google.Cancelled("the stream was cut"), TransientApiError),
    (google.Aborted("again"), TransientApiError),
    (ConnectionResetError("reset"), TransientApiError),
    (google.PermissionDenied("no"), PermissionRefused),
    (google.Unauthenticated("who?"), PermissionRefused),
    (google.NotFound("Resource 'j' was not found"), NotFound),
    (google.NotFound("Image 'x:1' not found."), ImageRefused),
    (google.InvalidArgument("spec.template: bad"), ConfigurationRefused),
    (google.FailedPrecondition("being deleted"), ConfigurationRefused),
    (google.AlreadyExists("twice"), ConfigurationRefused),
    (google.MethodNotImplemented("what"), ApiError),
    (google.DataLoss("lost"), ApiError),
]


@pytest.mark.parametrize(
    ("theirs", "ours"), CASES, ids=lambda case: getattr(case, "__name__", type(case).__name__)
)
def test_each_refusal_becomes_the_error_that_says_what_to_do(
    theirs: Exception, ours: type[GcpJobsError]
) -> None:
    with pytest.raises(GcpJobsError) as caught, explained("run the job", "projects/p/j", "roles/run.invoker"):
        raise theirs
    assert type(caught.value) is ours
    assert "run the job" in str(caught.value)
    assert "projects/p/j" in str(caught.value)


def test_a_missing_right_names_the_role_that_has_it() -> None:
    with (
        pytest.raises(PermissionRefused, match=r"needs roles/run\.invoker\."),
        explained("x", "y", "roles/run.invoker"),
    ):
        raise google.PermissionDenied("no")


def test_our_own_errors_pass_unchanged() -> None:
    with pytest.raises(NotFound, match="ours"), explained("x", "y", "z"):
        raise NotFound("ours")
