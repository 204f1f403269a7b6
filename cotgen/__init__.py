"""cotgen: three-level chain-of-thought data sets from surgical video annotations."""

__version__ = "0.1.0"
