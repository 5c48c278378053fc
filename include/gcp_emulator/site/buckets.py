"""The page of one bucket: what it is, and its objects."""

from urllib.parse import quote

from gcp_emulator.errors import NotFound
from gcp_emulator.site.markup import Html, document, facts, html, link, note, section, table
from gcp_emulator.site.world import World
from gcp_emulator.storage.changes import KIND, TOPIC
from gcp_emulator.storage.listing import Wanted, page

SHOWN = 500


def bucket_path(name: str, prefix: str = "") -> str:
    """The page of a bucket, or of a folder in it."""
    return f"/emulator/buckets/{quote(name)}" + (f"?prefix={quote(prefix, safe='')}" if prefix else "")


def bucket_page(world: World, name: str, prefix: str) -> str:
    """The page as HTML; NotFound without such a bucket."""
    catalogue = world.shelf.catalogue
    about = catalogue.bucket(name)
    if about is None:
        raise NotFound(f"There is no bucket {name}.")
    count, size = catalogue.totals(name)
    found = page(catalogue, name, Wanted(prefix=prefix, delimiter="/", limit=SHOWN))
    folders = [(link(bucket_path(name, folder), folder), "", "", "") for folder in found.prefixes]
    objects = [
        (
            link(f"/{name}/{quote(record.name, safe='')}", record.name),
            record.size,
            record.fields["updated"],
            record.fields["contentType"],
        )
        for record in found.records
    ]
    told = [
        (config["topic"].removeprefix(TOPIC), ", ".join(config.get("event_types", ())) or "all")
        for config in catalogue.notes(KIND, name)
    ]
    return document(
        f"Bucket {name}",
        facts(
            [
                ("Project", catalogue.project(name)),
                ("Location", about["location"]),
                ("Created", about["timeCreated"]),
                ("Versioning", "on" if about.get("versioning", {}).get("enabled") else ""),
                ("Labels", ", ".join(f"{key}={value}" for key, value in about.get("labels", {}).items())),
                ("Lifecycle rules, not run here", len(about.get("lifecycle", {}).get("rule", ())) or ""),
                ("Objects", f"{count}, {size} bytes"),
            ]
        ),
        section("Notifications", table(("Topic", "Events"), told)),
        section(
            f"Objects in {prefix}" if prefix else "Objects",
            table(("Name", "Bytes", "Updated", "Content type"), [*folders, *objects]),
            note(f"The first {SHOWN}.") if found.token else Html(html("")),
        ),
    )
