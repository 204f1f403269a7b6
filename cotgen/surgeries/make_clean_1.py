"""Writes `clean-1.yaml`: `python -m cotgen.surgeries.make_clean_1`.

Each surgery gets its split from the first published split that has it: CholecT50's RDV, then Endoscapes' official one,
then Cholec80's 40/8/32; the other sources share no surgery, and each follows its own. A surgery has one split whatever
sources a build names, so what one source tests on, no other one trains on. A released table is never changed: a new
source or a correction is a `clean/2`.
"""

from __future__ import annotations

from pathlib import Path

from cotgen.records import SPLITS, Split
from cotgen.surgeries.identity import order_of
from cotgen.surgeries.published import published_split

FILE = Path(__file__).parent / "clean-1.yaml"
DECIDE = (
    ("cholect50", "rdv"),
    ("endoscapes", "official"),
    ("cholec80", "camma_40_8_32"),
    ("multibypass140", "fold_0"),
    ("sar_rarp50", "official"),
    ("endovis17", "official"),
    ("endovis18", "clean"),
)
HEADER = """\
# clean/1: one split for each surgery, the same in every build. Written by make_clean_1.py; do not edit.
# Where sources share a surgery, CholecT50's RDV split decides, then Endoscapes', then Cholec80's 40/8/32.
# It holds the surgeries of Cholec80, CholecT45/T50, CholecSeg8k, CholecTrack20, CholecInstanceSeg, Endoscapes2023,
# MultiBypass140, SAR-RARP50, EndoVis17 and EndoVis18; published.yaml says where a split is ours. m2cai16-tool is known as
# sets of Cholec80's surgeries and needs no rows of its own.
"""


def table() -> dict[str, Split]:
    """Surgery -> split, sorted by family and number."""
    found: dict[str, Split] = {}
    for source, name in DECIDE:
        for surgery, split in published_split(source, name).table.items():
            found.setdefault(surgery, split)
    return {surgery: found[surgery] for surgery in sorted(found, key=order_of)}


def text() -> str:
    """The whole file."""
    lines = [HEADER + "name: clean/1"]
    surgeries = table()
    for split in SPLITS:
        lines.append(f"{split}:")
        chosen = [surgery for surgery, its in surgeries.items() if its == split]
        for family in dict.fromkeys(surgery.partition("/")[0] for surgery in chosen):
            members = [surgery.partition("/")[2] for surgery in chosen if surgery.startswith(f"{family}/")]
            names = ", ".join(str(int(name)) if name.isdecimal() else name for name in members)
            lines.append(f"  {family}: [{names}]")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the file."""
    FILE.write_text(text(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
