"""A rule's job template, rendered with `settings` only: what an event says is put into the spec, never into Jinja."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol

import jinja2

from gcp_jobs.errors import RuleError
from gcp_jobs.names import label_value
from gcp_jobs.settings import Settings
from gcp_jobs.template import FolderLoader, JobTemplate, parse


class Wants(Protocol):
    """A rule, or what came of it."""

    @property
    def template(self) -> str: ...
    @property
    def backend(self) -> str: ...


def parsed(
    wanted: Wants, here: Settings, source: str, overrides: Mapping[str, Any] | None = None
) -> JobTemplate:
    """Render and check the template of a rule.

    :param source: where the rule is, for messages
    :raises RuleError: there is no such template, or it needs more than `settings`
    :raises TemplateError: it is not right
    """
    text = _rendered(wanted.template, here, source)
    return parse(text, source=wanted.template, settings=here, overrides=overrides, backend=wanted.backend)


@cache
def _rendered(name: str, here: Settings, source: str) -> str:
    loader = FolderLoader(here.template_folders)
    env = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, autoescape=False)
    try:
        return env.get_template(name).render(settings=here, label_value=label_value)
    except jinja2.TemplateNotFound as error:
        raise RuleError(str(error.message), where=source, todo="Correct `template`.") from error
    except jinja2.TemplateError as error:
        raise RuleError(
            f"template {name} cannot be rendered: {error.message}", where=source,
            todo="A template that events start sees only `settings`; map the rest with env, args and params.",
        ) from error  # fmt: skip
