"""Names of jobs and values of labels, made from whatever people and Airflow call things. Pure."""

import hashlib
import re
import unicodedata

RUN_KEY_LABEL = "gcp-jobs-run-key"
DIGEST_LABEL = "gcp-jobs-spec"
_LONGEST = 63
_KEY = 20


def stem(prefix: str) -> str:
    """Give the start of a job id for any text: RFC 1035 clean, at most 42 characters, never empty."""
    plain = unicodedata.normalize("NFKD", prefix).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if not words[:1].isalpha():
        words = f"job-{words}".rstrip("-")
    return words[: _LONGEST - _KEY - 1].rstrip("-")


def job_id(prefix: str, run_key: str) -> str:
    """Give the id of one run's job: the same for the same prefix and key, and valid on Batch for any prefix.

    :param run_key: hexadecimal, at least 20 characters (once.Attempt.run_key)
    """
    return f"{stem(prefix)}-{run_key[:_KEY]}"


def sized(name: str, memory: str) -> str:
    """Name the definition of a job that got another size than its own, such as report-4gi."""
    tail = f"-{memory.lower()}"
    return f"{name[: _LONGEST - len(tail)].rstrip('-')}{tail}"


def label_value(text: str) -> str:
    """Give the label value for any text: lower case, what labels cannot hold as "-"; long ones end in a hash."""
    value = re.sub(r"[^a-z0-9_-]", "-", text.lower())
    if len(value) <= _LONGEST:
        return value
    return f"{value[: _LONGEST - 9]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
