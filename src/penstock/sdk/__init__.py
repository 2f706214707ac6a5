"""The Python client: the objects that users hold. Their public names are in `penstock` itself."""
