"""Why a run ended without success, and what to do about it. Pure, total and deterministic."""

from gcp_jobs.failure.classes import DEPENDENT, ENVIRONMENTAL, PERMANENT, ErrorType, FailureClass
from gcp_jobs.failure.explain import ExitMeaning, Failure, explain, lacking, listed, of_error, read

__all__ = [
    "DEPENDENT",
    "ENVIRONMENTAL",
    "PERMANENT",
    "ErrorType",
    "ExitMeaning",
    "Failure",
    "FailureClass",
    "explain",
    "lacking",
    "listed",
    "of_error",
    "read",
]
