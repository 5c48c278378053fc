"""Batch: jobs, their tasks and virtual machines, as https://cloud.google.com/batch/docs has them."""
