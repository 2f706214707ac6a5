"""A slow second opinion on recurrences. Run it with `python -m tests.oracle`."""
