"""`python -m cotgen`."""

from cotgen.cli import main

if __name__ == "__main__":
    main()
