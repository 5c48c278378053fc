"""Misbehaviour on request: what goes wrong, how often, and where; seeded, so that a failure replays."""
