"""The look-alike of each data set, for documentation, tests and a first look: seeded, nothing real in it."""

from cotgen.sources.demo.look_alikes import LOOK_ALIKES, make_look_alike
from cotgen.sources.demo.make import make_demo, write_annotations
from cotgen.sources.demo.stand_in import stand_in_video

__all__ = ["LOOK_ALIKES", "make_demo", "make_look_alike", "stand_in_video", "write_annotations"]
