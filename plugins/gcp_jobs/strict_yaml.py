"""YAML that refuses what people mistype: doubled keys, and unknown ones with the nearest that is right."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import yaml


class _StrictLoader(yaml.SafeLoader):
    """YAML without the silent last-one-wins of doubled keys."""


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.MarkedYAMLError(
                problem=f"the key {key!r} is there twice", problem_mark=key_node.start_mark
            )
        seen.add(key)
    return dict(loader.construct_mapping(node, deep=True))


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load(text: str) -> Any:
    """Read YAML text. Raises yaml.YAMLError."""
    return yaml.load(text, _StrictLoader)  # a SafeLoader


def nearest(key: str, allowed: Iterable[str]) -> str:
    """Say which key was meant, else which there are."""
    near = get_close_matches(key, allowed := list(allowed), 1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"allowed: {', '.join(sorted(allowed))}."
