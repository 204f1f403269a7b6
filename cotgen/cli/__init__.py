"""The command line. `main` is what `cotgen` runs; each command is a thin function that calls the package."""

from __future__ import annotations

import sys


def main() -> None:
    """Run a command; the errors of cotgen become one sentence and an exit code, never a traceback."""
    from cotgen.errors import CotgenError

    try:
        from cotgen.cli.commands import app

        app()
    except CotgenError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        sys.exit(130)
