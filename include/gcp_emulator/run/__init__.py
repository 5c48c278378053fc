"""Cloud Run jobs from the inside: rules, defaults, and the engine that runs executions."""
