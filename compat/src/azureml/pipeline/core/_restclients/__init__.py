"""A private path of the old SDK: scripts import one error from its end."""
