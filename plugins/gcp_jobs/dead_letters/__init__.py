"""Runs that failed for good: seen in the ledger, run again, or let go with a reason."""
