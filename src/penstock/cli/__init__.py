"""The command line: `penstock <noun> <verb>`. It prints and exits; deciding is done elsewhere."""

from __future__ import annotations

import sys

__all__ = ["run"]


def run() -> None:
    """Run the command line and exit; this is the `penstock` program.

    The base install has the SDK only. Where the packages that the command line needs are missing,
    one sentence says which install has them, and the exit code is 1.
    """
    try:
        from penstock.cli.main import app  # kept out of the import of penstock.cli: it costs 0.5 s
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "penstock":
            raise
        print(
            f"The penstock command needs {error.name}, which is not installed: "
            "pip install 'penstock[server]'",
            file=sys.stderr,
        )
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    app(prog_name="penstock")
