"""Where jobs run: one module a service, all with the same face (base.JobBackend)."""
