"""The command line. `main` is what `cotgen` runs; each command is a thin function that calls the package."""

from __future__ import annotations

import errno
import os
import sys


def main() -> None:
    """Run a command; the errors of cotgen become one sentence and an exit code, never a traceback."""
    from cotgen.cli.console import harmless
    from cotgen.errors import CotgenError

    try:
        # A name on disk may hold any bytes; those of another encoding than UTF-8 fit into no record and no table.
        for argument in sys.argv[1:]:
            argument.encode()
        from cotgen.cli.commands import app

        app()
    except CotgenError as error:
        print(harmless(str(error)), file=sys.stderr)
        sys.exit(error.exit_code)
    except UnicodeEncodeError as error:
        print(f"{error.object!a} is not UTF-8; rename the file or folder, or link to it with `ln -s`", file=sys.stderr)
        sys.exit(2)
    except SystemExit:
        # Typer's own help ends with 1 where nobody reads on, and puts this in the place of the output.
        if type(sys.stdout).__name__ == "PacifyFlushWrapper":
            drop_output()
            sys.exit(0)
        raise
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        sys.exit(130)
    finally:
        _flush()


def _flush() -> None:
    """Write out what is left; a reader that has closed the pipe, as `head` does, has all that it wants."""
    try:
        sys.stdout.flush()
    except OSError as error:
        if error.errno != errno.EPIPE:
            raise
        drop_output()


def drop_output() -> None:
    """From here on, what is printed goes nowhere: nobody reads it."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.close(devnull)
