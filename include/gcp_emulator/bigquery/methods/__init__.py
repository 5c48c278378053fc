"""BigQuery's methods: functions of the service and a call."""
