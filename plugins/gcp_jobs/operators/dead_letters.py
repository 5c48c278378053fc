"""What the tasks of DAG dead_letters do: list, replay, discard; and hand each replay to the operator of its backend."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from gcp_jobs.clients import Access
from gcp_jobs.dead_letters.choice import Choice, Letter, LetterRefused, brief, run_again_by, table
from gcp_jobs.dead_letters.replay import arguments
from gcp_jobs.errors import GcpJobsError
from gcp_jobs.ledger.record import Decision, Verdict
from gcp_jobs.operators.batch import BatchJobOperator
from gcp_jobs.operators.cloud_run import CloudRunJobOperator
from gcp_jobs.operators.rendering import mask_sensitive
from gcp_jobs.settings import settings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from gcp_jobs.ledger.ledger import Ledger

MOST = 1000  # Airflow maps no task more often ([core] max_map_length)
SHOWN = 50
REPLAYS = "replays"


class DeadLettersOperator(BaseOperator):
    """
    Does what the DAG run's params say: `action`, `entries` or a filter, `change`, `reason`. XCom gets counts and a few.

    :param gcp_conn_id: Airflow connection to Google Cloud, for the dead-letter subscription.
    """

    template_fields: Sequence[str] = ("gcp_conn_id",)

    def __init__(self, *, gcp_conn_id: str = "google_cloud_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gcp_conn_id = gcp_conn_id

    def execute(self, context: "Context") -> dict[str, Any]:
        """Choose, show, act."""
        params: Mapping[str, Any] = context["params"]
        try:
            return self._act(params, context)
        except GcpJobsError as error:
            if error.permanent:
                raise AirflowFailException(str(error)) from None
            raise

    def _act(self, params: Mapping[str, Any], context: "Context") -> dict[str, Any]:
        from gcp_jobs.ledger import queries

        here, choice, action = _ledger(), Choice.of(params), params["action"]
        if action != "list" and not choice.narrow:
            raise LetterRefused(
                f"{action} of what?", where="params", todo="Name entries, or filter by dag_id, failure_class, "
                "since, project or region.",
            )  # fmt: skip
        every = here.read(queries.dead_letters())
        chosen = choice.of_letters(every)
        if action == "replay" and not choice.entries:
            chosen = self._not_again(chosen)
        for line in table(chosen):
            self.log.info("%s", line)
        done = {"list": self._list, "replay": self._replay, "discard": self._discard}[action](
            chosen, params, context
        )
        return {
            "action": action, "dead_letters": len({r["entry"] for r in every}), "chosen": len(chosen),
            "letters": [brief(letter) for letter in chosen[:SHOWN]], **done,
        }  # fmt: skip

    def _list(self, chosen: Sequence[Letter], params: Any, context: "Context") -> dict[str, Any]:
        here = settings()
        if not here.dead_letter_subscription:
            return {}
        from gcp_jobs.dead_letters import poison

        name = here.dead_letter_subscription_name
        found = poison.messages(name, Access(self.gcp_conn_id))
        many = f"{len(found)}{' or more' if len(found) == poison.MOST else ''}"
        self.log.info("%s messages lie in %s", many, name)
        for message in found:
            self.log.info(
                "message %(id)s of %(published)s, %(bytes)s bytes, from %(from)s: %(reason)s", message
            )
        return {"messages": len(found)}

    def _replay(
        self, chosen: Sequence[Letter], params: Mapping[str, Any], context: "Context"
    ) -> dict[str, Any]:
        if len(chosen) > MOST:
            raise LetterRefused(
                f"{len(chosen)} letters at once", where="params", todo=f"Filter: at most {MOST} at a time."
            )
        change = params.get("change") or {}
        mask_sensitive(change)
        # all or none: a letter that cannot be replayed is no reason to lose sight of it
        replays = [{"backend": r["backend"], "arguments": arguments(r, change, settings())} for r in chosen]
        context["ti"].xcom_push(key=REPLAYS, value=replays)
        for letter in chosen:
            self.log.info(
                "Replaying %s%s", letter["entry"], f" with changed {', '.join(change)}" if change else ""
            )
        return {"replayed": len(chosen)}

    def _discard(
        self, chosen: Sequence[Letter], params: Mapping[str, Any], context: "Context"
    ) -> dict[str, Any]:
        reason = (params.get("reason") or "").strip()
        if not reason:
            raise LetterRefused("discard needs a reason", where="param reason", todo="Say why.")
        by = getattr(context.get("dag_run"), "triggering_user_name", None) or f"run {context['run_id']}"
        now = datetime.now(UTC)
        refused = _ledger().write(Decision(r["entry"], Verdict.DISCARDED, now, by, reason) for r in chosen)
        for record, why in refused:
            raise LetterRefused(f"the ledger never takes {record}: {why}")
        for letter in chosen:
            self.log.info("Discarded %s by %s: %s", letter["entry"], by, reason)
        return {"discarded": len(chosen)}

    def _not_again(self, chosen: Sequence[Letter]) -> list[Letter]:
        fresh = [letter for letter in chosen if not run_again_by(letter)]
        if len(fresh) < len(chosen):
            self.log.info(
                "%d letters were run again before; name them by `entries` to do it again",
                len(chosen) - len(fresh),
            )
        return fresh


class ReplaysOfOperator(BaseOperator):
    """
    Gives the replays of one backend as what BatchJobOperator or CloudRunJobOperator expands over.

    :param of: id of the task that chose them.
    :param backend: "batch" or "cloud_run".
    """

    def __init__(self, *, of: str, backend: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.of, self.backend = of, backend

    def execute(self, context: "Context") -> list[dict[str, Any]]:
        """Pick them out."""
        found = context["ti"].xcom_pull(task_ids=self.of, key=REPLAYS) or []
        return [each["arguments"] for each in found if each["backend"] == self.backend]


class BatchReplayOperator(BatchJobOperator):
    """BatchJobOperator for what the ledger recorded: it was rendered before, and must not be rendered once more."""

    template_fields: Sequence[str] = ()


class CloudRunReplayOperator(CloudRunJobOperator):
    """CloudRunJobOperator for what the ledger recorded: it was rendered before, and must not be rendered once more."""

    template_fields: Sequence[str] = ()


def _ledger() -> "Ledger":
    from gcp_jobs.ledger.connection import ledger

    here = ledger()
    if here is None:
        raise LetterRefused(
            "there is no ledger, and so there are no dead letters", where="GCP_JOBS_LEDGER_CONN_ID",
            todo="Make the connection that this setting names.",
        )  # fmt: skip
    return here
