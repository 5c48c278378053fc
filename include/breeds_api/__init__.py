"""A small breeds API of our own: sample records over HTTP in the shape of TheDogAPI, misbehaving on request."""
