"""`make run` and `make up`: the whole of gcp_jobs on one machine, with no account."""
