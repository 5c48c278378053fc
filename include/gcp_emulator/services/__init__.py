"""The services on the wire, one module each; methods are named as in the API."""
