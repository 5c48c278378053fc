"""An embedded Google Cloud: Google's client libraries talk to it, and it really runs the containers."""
