"""The look-alike of each data set, for documentation, tests and a first look: seeded, nothing real in it."""

from cotgen.sources.demo.make import make_demo, write_annotations
from cotgen.sources.demo.stand_in import stand_in_video

__all__ = ["make_demo", "stand_in_video", "write_annotations"]
