"""Runs the containers of one task: image folders as local processes, with limits that are enforced."""
