"""Runs whose every budget is spent: seen in the ledger, run again, or let go with a reason."""
