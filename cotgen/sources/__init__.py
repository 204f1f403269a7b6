"""The data sets that cotgen reads: one module each, one line here."""

from cotgen.errors import CotgenError
from cotgen.sources.base import Source
from cotgen.sources.cholec80 import Cholec80
from cotgen.sources.cholect50 import CholecT50
from cotgen.sources.endoscapes import Endoscapes
from cotgen.sources.endovis17 import EndoVis17
from cotgen.sources.endovis18 import EndoVis18
from cotgen.sources.multibypass140 import MultiBypass140
from cotgen.sources.sar_rarp50 import SarRarp50
from cotgen.sources.table import TableSource

#: In the order in which they supply pictures and stand in records.
SOURCES: dict[str, Source] = {
    item.name: item
    for item in (
        Cholec80(),
        CholecT50(),
        Endoscapes(),
        MultiBypass140(),
        SarRarp50(),
        EndoVis17(),
        EndoVis18(),
        TableSource(),
    )
}


def source(name: str) -> Source:
    """The source of that name.

    Raises:
        CotgenError: there is none; lists those there are.
    """
    if name not in SOURCES:
        raise CotgenError(f"There is no source {name!r}; known are: {', '.join(sorted(SOURCES))}.")
    return SOURCES[name]
