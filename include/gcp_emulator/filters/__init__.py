"""Google's filter language: read into a tree, then matched against any protobuf message."""

from gcp_emulator.filters.grammar import parse
from gcp_emulator.filters.match import check, matches

__all__ = ["check", "matches", "parse"]
