"""Some pairs as the card shows them: the frame with the boxes that the chain names, and the chain beside it."""

from __future__ import annotations

import html
import io
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from cotgen.hub.preview import Drawn, draw_pairs, read_pairs
from cotgen.records import Pair
from cotgen.shards.index import scan_index
from cotgen.shards.manifest import PICTURES
from cotgen.shards.stored import StoredRecords

#: Samples that a card shows, and how many are drawn to choose them from.
SHOWN = 4
_DRAWN = 64
#: Width in pixels between which a picture is kept, so that lines and numbers have one size.
_WIDTH = (640, 854)
_QUALITY = 88
#: Side in pixels of the square that a number stands on.
_CHIP = 22
#: Okabe and Ito 2008; bright enough for tissue.
_COLOURS = ("#ffd400", "#56b4e9", "#ff8c1a", "#7dff6a", "#cc79a7", "#ffffff")
_BOX = re.compile(r"<bbox:([0-9]+)>")


@dataclass(frozen=True, slots=True)
class Shown:
    """A pair on the card.

    Attributes:
        drawn: the pair with its sample.
        file: name of its picture in the folder, or "" where frames are not stored.
        picture: its bytes, a JPEG.
    """

    drawn: Drawn
    file: str
    picture: bytes

    def to_html(self) -> str:
        """A row of a table: the picture, and the question with its chain; numbers in brackets are those of the boxes."""
        pair = self.drawn.pair
        options = f" <i>{', '.join(map(_told, pair.options))}</i>" if pair.options else ""
        lines = [f"<b>Q</b> {_told(pair.question)}{options}"]
        for level in (1, 2, 3):
            texts = [_told(item.text) for item in pair.statements if item.level == level]
            bases = dict.fromkeys(item.basis for item in pair.statements if item.level == level)
            lines.append(f"<b>Level {level}</b> {' '.join(texts)} <sub>{', '.join(bases)}</sub>")
        answer = "<br>".join(_told(line) for line in pair.answer.splitlines())
        lines.append(f"<b>A</b> {answer} <sub>support: {pair.support}</sub>")
        name = f"{self.drawn.sample.key}#{pair.id}"
        told = f"<td>{'<br><br>'.join(lines)}<br><br><code>{html.escape(name)}</code></td>"
        if not self.file:
            return f"<tr>{told}</tr>"
        seen = f'<td width="50%"><img src="{self.file}" alt="{html.escape(name)}"></td>'
        return f"<tr>{seen}{told}</tr>"


def samples(stored: StoredRecords) -> list[Shown]:
    """At most `SHOWN` pairs of the first split that there is, of different frames and as many tasks as can be.

    Raises:
        CotgenError: a shard is damaged.
    """
    pictures = bool(stored.manifest.counts.get("images"))
    rows = draw_pairs(scan_index(stored.folder), _DRAWN, "card")
    if rows.is_empty():
        return []
    # The draw takes tasks in turn, so the first of each frame are of as many tasks as there are.
    picked = (
        rows.filter(rows["split"] == rows["split"][0]).unique("key", keep="first", maintain_order=True).head(SHOWN)
    )
    shown = []
    for number, drawn in enumerate(read_pairs(stored, picked, pictures=pictures), start=1):
        file = f"{PICTURES}/sample-{number}.jpg" if pictures else ""
        shown.append(Shown(drawn, file, with_boxes(drawn.jpeg, drawn.pair) if pictures else b""))
    return shown


def to_table(shown: Sequence[Shown]) -> str:
    """All of them as one table of HTML; "" for none."""
    return "\n".join(["<table>", *(item.to_html() for item in shown), "</table>"]) if shown else ""


def with_boxes(jpeg: bytes, pair: Pair) -> bytes:
    """The picture with the boxes that the pair names, numbered from 1, as a JPEG."""
    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as stored:
        picture = stored.convert("RGB")
    scale = min(max(picture.width, _WIDTH[0]), _WIDTH[1]) / picture.width
    size = (round(picture.width * scale), round(picture.height * scale))
    picture = picture.resize(size, Image.Resampling.LANCZOS) if scale != 1 else picture
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=17)
    boxes = [tuple(round(scale * value) for value in box) for box in pair.boxes]
    for (left, top, right, bottom), colour in zip(boxes, itertools.cycle(_COLOURS)):
        # A dark line beside the bright one, so that it is seen on every tissue.
        pen.rectangle((left - 1, top - 1, right, bottom), outline="#000000", width=5)
        pen.rectangle((left, top, right - 1, bottom - 1), outline=colour, width=3)
    taken: list[tuple[int, int]] = []
    for number, (box, colour) in enumerate(zip(boxes, itertools.cycle(_COLOURS)), start=1):
        x, y = _free_corner(box, taken)
        taken.append((x, y))
        pen.rectangle((x, y, x + _CHIP, y + _CHIP), fill=colour)
        pen.text((x + _CHIP / 2, y + _CHIP / 2), str(number), fill="#000000", font=font, anchor="mm")
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=_QUALITY, subsampling="4:2:0")
    return out.getvalue()


def _free_corner(box: tuple[int, ...], taken: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The corner of a box, from its inside, where no number stands yet; the upper left one where all are taken."""
    left, top, right, bottom = box
    corners = [(x, y) for y in (top, bottom - _CHIP - 1) for x in (left, right - _CHIP - 1)]
    free = (c for c in corners if all(max(abs(c[0] - x), abs(c[1] - y)) > _CHIP for x, y in taken))
    return next(free, corners[0])


def _told(text: str) -> str:
    """Text as HTML, a box as the number that it has in the picture."""
    return html.escape(_BOX.sub(lambda match: f"[{int(match[1]) + 1}]", text), quote=False)
