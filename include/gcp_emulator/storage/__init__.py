"""Cloud Storage v1: buckets that the JSON and XML APIs, Pub/Sub notifications and the mounts of jobs share."""
