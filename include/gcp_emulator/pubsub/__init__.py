"""Pub/Sub: topics, subscriptions and what lies between a publish and its acknowledgement.

`Backlog` holds one subscription's messages and knows neither network nor event loop: it is given the time.
`PubSub` fans a publish out to the backlogs; `Feed` and `Stream` let callers wait for what comes. Topics and
subscriptions outlive the process when the store does; messages and snapshots do not.
"""
