"""The report: one HTML file that needs nothing else, with pictures, the tables behind them, and what they mean.

No script, no font and no picture comes from elsewhere, and a content policy in the file forbids it. All text is escaped.
Equal numbers give equal bytes within one version of matplotlib.
"""

from __future__ import annotations

from pathlib import Path

from cotgen.errors import CotgenError
from cotgen.inspect.record import Statistics
from cotgen.inspect.remarks import LEAST_PAIRS
from cotgen.inspect.sections import sections
from cotgen.records import SPLITS
from cotgen.shards.readme import listed


def report(
    numbers: Statistics,
    other: Statistics | None = None,
    names: tuple[str, str] = ("This folder", "the other"),
    *,
    least: int = LEAST_PAIRS,
) -> str:
    """The text of the HTML file.

    Args:
        numbers: of the folder.
        other: of a folder to compare it with.
        names: what both are called.
        least: pairs below which a class is called rare.

    Raises:
        CotgenError: without the packages of `cotgen[inspect]`.
    """
    try:
        from jinja2 import FileSystemLoader, StrictUndefined
        from jinja2.sandbox import SandboxedEnvironment
    except ImportError as error:
        raise CotgenError("The report needs jinja2 and matplotlib: pip install 'cotgen[inspect]'") from error

    environment = SandboxedEnvironment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
    titles = listed(sorted(numbers.titles.values())) or "a data set"
    return environment.get_template("report.html.j2").render(
        title=f"{names[0]}: statistics" if other else f"Statistics of chains of thought on {titles}",
        subtitle=f"{titles}; {numbers.build} with fingerprint {numbers.fingerprint[:12]}, split {numbers.split_table}",
        facts=_facts(numbers),
        sections=sections(numbers, other, names, least),
        footer=_footer(numbers),
    )


def _facts(numbers: Statistics) -> list[tuple[str, str]]:
    surgeries = [numbers.surgeries.get(split, 0) for split in SPLITS]
    return [
        ("pairs", f"{numbers.total:,}"),
        ("frames", f"{sum(numbers.samples.values()):,}"),
        ("surgeries", f"{sum(surgeries):,}"),
        ("train / validation / test", " / ".join(f"{n:,}" for n in surgeries)),
        ("tasks", f"{len(numbers.tasks()):,}"),
        ("pictures", "stored" if numbers.pictures else "not stored"),
    ]


def _footer(numbers: Statistics) -> str:
    frames = sum(numbers.samples.values())
    looked = "all" if numbers.read == frames else f"{numbers.read:,} drawn"
    return (
        f"Pairs, classes and findings are counted over all pairs. Labels, boxes, length and basis: {looked} of {frames:,} "
        "frames. Skeletons and plans: drawn chains, as many as each table says. The draws depend on names alone, so the "
        "same folder gives the same report."
    )
