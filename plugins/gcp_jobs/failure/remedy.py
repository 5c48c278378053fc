"""What to do about each class of failure; for a missing right the role, on what, for whom."""

import re
from collections.abc import Mapping

from gcp_jobs.failure.classes import FailureClass

_F = FailureClass
TODO: Mapping[FailureClass, str] = {
    _F.PREEMPTED: "Clear the task, or give it retries; work that must not be interrupted belongs on standard.",
    _F.HOST_LOST: "The machine failed, not the work: clear the task, or give it retries.",
    _F.OUT_OF_MEMORY: "Raise `memory` in the job's template; what the container writes to disk counts too.",
    _F.TIMED_OUT: "Raise `timeout` in the job's template, or find out in its log where the time went.",
    _F.STOCK_OUT: "Try again later, or another `zones`, `machine_type`, `region` or `provisioning` in the template.",
    _F.QUOTA: "Wait for other jobs, or ask for a larger quota of what is named above.",
    _F.NETWORK: "It may pass: clear the task. If it does not, check the job's `network`, egress and DNS.",
    _F.DEPENDENCY_DOWN: "Wait until it answers again, then clear the task.",
    _F.PERMISSION: "The message above names the right that is missing.",
    _F.IMAGE: "Push the image, or correct `image` (or its command and platform) in the job's template.",
    _F.CONFIGURATION: "Correct what is named above in the job's template.",
    _F.APPLICATION: "The cause is in the log lines of the container.",
    _F.CANCELLED: "If that was not intended, clear the task to run it again.",
    _F.GONE: "Look for its deletion in the audit log (cloudaudit.googleapis.com/activity), then clear the task.",
    _F.UNKNOWN: "Read the run's events and log in Google's console.",
}

# permission (lower case, longest prefix wins) -> the smallest predefined role; https://cloud.google.com/iam/docs/roles-permissions
_ROLES = {
    "artifactregistry.": "roles/artifactregistry.reader",
    "batch.jobs.": "roles/batch.jobsEditor",
    "batch.states.": "roles/batch.agentReporter",
    "bigquery.datasets.create": "roles/bigquery.user",
    "bigquery.datasets.": "roles/bigquery.dataEditor",
    "bigquery.jobs.create": "roles/bigquery.jobUser",
    "bigquery.tables.": "roles/bigquery.dataEditor",
    "bigquery.tables.getdata": "roles/bigquery.dataViewer",
    "cloudkms.cryptokeyversions.": "roles/cloudkms.cryptoKeyEncrypterDecrypter",
    "iam.serviceaccounts.actas": "roles/iam.serviceAccountUser",
    "iam.serviceaccounts.getaccesstoken": "roles/iam.serviceAccountTokenCreator",
    "logging.logentries.create": "roles/logging.logWriter",
    "monitoring.timeseries.create": "roles/monitoring.metricWriter",
    "pubsub.subscriptions.consume": "roles/pubsub.subscriber",
    "pubsub.topics.publish": "roles/pubsub.publisher",
    "run.executions.cancel": "roles/run.developer",
    "run.jobs.run": "roles/run.invoker",
    "run.jobs.runwithoverrides": "roles/run.jobsExecutorWithOverrides",
    "run.jobs.": "roles/run.developer",
    "secretmanager.versions.access": "roles/secretmanager.secretAccessor",
    "serviceusage.services.use": "roles/serviceusage.serviceUsageConsumer",
    "storage.buckets.": "roles/storage.legacyBucketReader",
    "storage.objects.create": "roles/storage.objectCreator",
    "storage.objects.get": "roles/storage.objectViewer",
    "storage.objects.list": "roles/storage.objectViewer",
    "storage.objects.": "roles/storage.objectUser",
}
# where no permission is named: what the message is about
_HINTS = (
    (r"act as the specified service account", "roles/iam.serviceAccountUser"),
    (r"agent reporting", "roles/batch.agentReporter"),
    (r"\bsecret\b", "roles/secretmanager.secretAccessor"),
    (r"\bKMS\b|encryption.key", "roles/cloudkms.cryptoKeyEncrypterDecrypter"),
    (r"\bimage\b|pull access|docker\.pkg\.dev", "roles/artifactregistry.reader"),
    (r"/topics/|\btopic\b|publish", "roles/pubsub.publisher"),
    (r"/subscriptions/", "roles/pubsub.subscriber"),
)
_PERMISSION = re.compile(r"\b(?!com\.|io\.|org\.|google\.)[a-z]+\.[a-zA-Z]+\.[a-zA-Z]+\b(?![.@])")
_ROLE = re.compile(r"\broles/[\w.]+")
_EMAIL = re.compile(r"[\w.-]+@[\w.-]*gserviceaccount\.com")
_PATH = re.compile(r"(?://[\w.]+/)?(projects/[^\s/'\"]+/[^\s'\",()?]+)")
_NAMED = re.compile(r"\b(bucket|dataset|table|project|topic|object) '?([\w.:/-]*[\w/-])", re.IGNORECASE)
_STORED = re.compile(r"access to (?:object )?([\w.-]+(?:/\S+)?\w)")
_NOUNS = {
    "topics": "topic", "subscriptions": "subscription", "secrets": "secret", "repositories": "repository",
    "cryptoKeys": "key", "serviceAccounts": "service account", "jobs": "job", "buckets": "bucket",
    "datasets": "dataset", "tables": "table",
}  # fmt: skip


def todo(kind: FailureClass, text: str, identity: str) -> str:
    """Say what to do.

    :param text: the message that decided, in which role, resource and identity are looked for
    :param identity: the job's service account, empty where it is not known
    """
    if kind is FailureClass.PERMISSION or (kind is FailureClass.IMAGE and _refused(text)):
        return _grant(text, identity)
    return TODO[kind]


def _refused(text: str) -> bool:
    return bool(re.search(r"denied|permission|unauthori[sz]ed", text, re.IGNORECASE))


def _grant(text: str, identity: str) -> str:
    if re.search(r"has not been used in project|SERVICE_DISABLED", text):
        return "Enable the API that is named above in the project."
    if re.search(r"insufficient .{0,20}scopes?", text, re.IGNORECASE):
        return "The machine's scopes are too narrow: give it https://www.googleapis.com/auth/cloud-platform."
    role, acting = _role(text), False
    if not role:
        return TODO[FailureClass.PERMISSION]
    emails = _EMAIL.findall(text)
    if role == "roles/iam.serviceAccountUser" and emails:
        resource, emails, acting = f"service account {emails[0]}", emails[1:], True
    else:
        resource = _resource(text)
    if emails:
        whom = f"service account {emails[0]}"
    elif acting:
        whom = "the identity that submits the job"
    else:
        whom = f"service account {identity}" if identity else "the job's service account"
    return f"Needs {role}{f' on {resource}' if resource else ''} for {whom}."


def _role(text: str) -> str:
    if named := _ROLE.search(text):
        return named[0].rstrip(".")
    for found in _PERMISSION.finditer(text):
        permission = found[0]
        fits = [prefix for prefix in _ROLES if permission.lower().startswith(prefix)]
        if fits:
            return _ROLES[max(fits, key=len)]
        if re.search(
            rf"permission '?{re.escape(permission)}|{re.escape(permission)}\S* permission", text, re.I
        ):
            return f"a role with {permission}"
    return next((role for hint, role in _HINTS if re.search(hint, text, re.IGNORECASE)), "")


def _resource(text: str) -> str:
    if path := _PATH.search(text):
        full = path[1].rstrip(".")
        parts = full.split("/")
        noun = next((_NOUNS[p] for p in reversed(parts) if p in _NOUNS), "")
        return f"{noun} {full}".strip()
    if (stored := _STORED.search(text)) and stored[1] != "the":
        return stored[1]
    named = _NAMED.search(text)
    return f"{named[1].lower()} {named[2]}" if named else ""
