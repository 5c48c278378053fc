"""What our operators add to Airflow's rendering: template folders, masks, and a default of their own."""

from configparser import ConfigParser
from typing import TYPE_CHECKING, Any

from airflow.sdk.configuration import conf
from airflow.sdk.log import mask_secret

from gcp_jobs.names import label_value
from gcp_jobs.settings import settings

SHORTEST_SECRET = 5

if TYPE_CHECKING:
    import jinja2
    from airflow.sdk import Context


class RendersTemplates:
    """Mixed into an operator, before BaseOperator: its templates see `settings` and the template folders."""

    def get_template_env(self, dag: Any = None) -> "jinja2.Environment":
        """Find template files in the folders of GCP_JOBS_TEMPLATE_FOLDERS too."""
        return with_our_templates(super().get_template_env(dag))  # type: ignore[misc]

    def render_template(
        self,
        content: Any,
        context: "Context",
        jinja_env: "jinja2.Environment | None" = None,
        seen_oids: set[int] | None = None,
    ) -> Any:
        """Render with `settings` at hand; values under sensitive names are masked before anybody sees them."""
        env = with_our_templates(jinja_env or self.get_template_env())
        rendered = super().render_template(content, with_settings(context), env, seen_oids)  # type: ignore[misc]
        mask_sensitive(rendered)
        return rendered


def with_our_templates(env: "jinja2.Environment") -> "jinja2.Environment":
    """Give an environment that also looks into the folders of GCP_JOBS_TEMPLATE_FOLDERS."""
    from gcp_jobs.template import FolderLoader

    if isinstance(env.loader, FolderLoader):
        return env
    return env.overlay(loader=FolderLoader(settings().template_folders, env.loader))


def with_settings(context: "Context") -> "Context":
    """Give a template context with the GCP_JOBS_* `settings`, and `label_value` to make labels of any text."""
    if "settings" in context:
        return context
    return {**context, "settings": settings(), "label_value": label_value}  # type: ignore[typeddict-unknown-key]


def mask_sensitive(value: Any) -> None:
    """Mask values under sensitive names (Airflow's list of them), in {NAME: v} and in {name: NAME, value: v}."""
    if isinstance(value, list | tuple):
        for item in value:
            mask_sensitive(item)
    if not isinstance(value, dict):
        return
    if isinstance(value.get("name"), str) and isinstance(value.get("value"), str):
        _mask(value["name"], value["value"])
    for name, item in value.items():
        if isinstance(item, str):
            _mask(str(name), item)


def _mask(name: str, value: str) -> None:
    """Airflow masks nothing shorter, and would say so in the log for each."""
    if len(value) >= SHORTEST_SECRET:
        mask_secret(value, name)


def default_deferrable() -> bool:
    """[operators] default_deferrable where somebody has set it, else True: Airflow ships it as False for all."""
    if settings().default_deferrable is not None:
        return bool(settings().default_deferrable)
    if ConfigParser.has_option(conf, "operators", "default_deferrable"):
        return bool(conf.getboolean("operators", "default_deferrable"))
    return True
