"""What is built: surgeries and frames, from names and labels alone."""

from fractions import Fraction
from pathlib import Path

import polars as pl
import pytest

from cotgen.build.config import BuildConfig, load_config
from cotgen.build.plan import Exclusion, Plan, choose_frames, evenly, look, plan_surgeries, shares, step_of
from cotgen.errors import CotgenError
from cotgen.sources.base import FACTS_SCHEMA, LABELLED_SCHEMA, Scan, SurgeryFacts, SurgeryFiles
from cotgen.surgeries.splits import SplitPlan


def scan(*numbers: int, incomplete: tuple[int, ...] = ()) -> Scan:
    files = tuple(SurgeryFiles(f"cholec80/{n}", (("phase", f"{n}.txt"),), f"{n}.mp4") for n in numbers)
    return Scan("cholec80", Path("/data"), files, tuple((f"cholec80/{n}", "it has no video") for n in incomplete))


def plan(found: Scan, exclusion: Exclusion | None = None, **given: object) -> Plan:
    settings: BuildConfig = load_config(None, {"source": "cholec80", **given})
    return plan_surgeries(settings, [found], SplitPlan.parse(settings.split), exclusion or Exclusion())


def test_surgeries_come_in_order_with_their_split_and_train_is_counted_even_where_it_is_not_built() -> None:
    found = plan(scan(73, 5, 12, 1), surgeries="73")
    assert [(item.surgery, item.split) for item in found.selected] == [("cholec80/73", "test")]
    train = SplitPlan.parse(["clean/1"])
    assert [members[0].surgery for members in found.train] == [
        name for name in ("cholec80/1", "cholec80/5", "cholec80/12", "cholec80/73") if train.of(name) == "train"
    ]
    assert found.train


def test_what_cannot_be_built_is_listed_with_its_reason() -> None:
    found = plan(scan(1, 73, incomplete=(5, 9)), surgeries="1,5,73")
    assert [(item.reason, item.examples) for item in found.left_out] == [("it has no video", ["cholec80/5"])]


def test_a_surgery_that_is_not_there_is_refused() -> None:
    with pytest.raises(CotgenError, match=r"--surgeries 99: no such surgery in /data\. There are cholec80/1"):
        plan(scan(1), surgeries="1,99")


def test_nothing_left_is_a_sentence() -> None:
    with pytest.raises(CotgenError, match=r"No surgery of /data can be built\. it has no video: cholec80/5"):
        plan(scan(incomplete=(5,)))


def test_an_excluded_surgery_is_neither_built_nor_counted(tmp_path: Path) -> None:
    file = tmp_path / "withdrawn.txt"
    file.write_text(
        "# consent withdrawn\ncholec80/01   # by letter\n\ncholec80-73-000125\ncholec80/80\nendoscapes/5\n"
    )
    found = plan(scan(1, 2, 73), Exclusion.read(file))
    assert "cholec80/1" not in [item.surgery for item in found.selected]
    assert "cholec80/1" not in [members[0].surgery for members in found.train]
    assert [item.reason for item in found.left_out] == ["excluded by --exclude"]
    assert found.exclusion.indices("cholec80/73") == {125}
    # An entry that matches nothing may be a slip of the pen, and then a patient is still in.
    assert [text.split(" matches")[0] for text in found.warnings] == [
        "--exclude: cholec80/80",
        "--exclude: endoscapes/5",
    ]


@pytest.mark.parametrize(
    ("entry", "withdrawn"),
    [
        ("cholec80/66", {"cholec80/66"}),
        ("cholect50/066", {"cholec80/66"}),
        ("endoscapes/121", {"cholec80/66"}),
        ("cholectrack20/96", {"cholec80/96"}),
        ("psi_ava/4", {"grasp/4"}),
        ("sar_rarp50/7_1", {"sar_rarp50/7"}),
        ("m2cai16_tool/11", {f"cholec80/{n}" for n in (61, 62, 64, 65, 66)}),
        ("m2cai16_tool_locations/11", {f"cholec80/{n}" for n in (61, 62, 64, 65, 66)}),
    ],
)
def test_consent_is_withdrawn_under_each_name_of_an_operation(tmp_path: Path, entry: str, withdrawn: set[str]) -> None:
    file = tmp_path / "withdrawn.txt"
    file.write_text(f"{entry}\n")
    found = Exclusion.read(file)
    assert found.surgeries == withdrawn
    assert all(found.holds(surgery) for surgery in withdrawn)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("cholce80/73", "no surgery numbers are known for the source 'cholce80'"),
        ("cholec80/173", "no data set has a surgery 'cholec80/173'; cholec80 has 1 to 111"),
        ("multibypass140/bbp99", "multibypass140 has bbp01 to sbp70"),
        ("cholec80-173-000000", "no data set has a surgery 'cholec80/173'"),
        ("m2cai16_workflow/3", "nobody published which operation 'm2cai16_workflow/3' is"),
        ("endoscapes/x", "names no surgery"),
    ],
)
def test_an_entry_that_no_data_set_has_stops_the_build(tmp_path: Path, entry: str, message: str) -> None:
    file = tmp_path / "withdrawn.txt"
    file.write_text(f"# consent\n{entry}\n")
    with pytest.raises(CotgenError, match=message) as caught:
        Exclusion.read(file)
    assert "withdrawn.txt:2: " in str(caught.value)


def test_an_entry_of_ones_own_table_that_is_not_there_stops_the_build(tmp_path: Path) -> None:
    own = Scan("table", Path("/own"), (SurgeryFiles("table/op_7", (("mapping", "m"),), "7.mp4"),), procedure="x")
    file = tmp_path / "withdrawn.txt"
    file.write_text("table/op7\n")
    with pytest.raises(CotgenError, match="table/op7 names no surgery in /own; there are table/op_7"):
        plan(own, Exclusion.read(file))


def test_a_line_that_is_neither_surgery_nor_key_stops_the_build(tmp_path: Path) -> None:
    file = tmp_path / "withdrawn.txt"
    file.write_text("cholec80/1\nvideo05\n")
    with pytest.raises(CotgenError, match=r"withdrawn\.txt:2: 'video05' is neither a surgery"):
        Exclusion.read(file)


def test_a_limited_build_takes_few_surgeries_evenly_unless_they_are_named() -> None:
    names = [f"cholec80/{n}" for n in range(1, 81)]
    assert len(look(names, 100)) == 8
    assert look(names, 100)[0] != names[0]
    assert len(look(names, 5000)) == 20
    everyone = scan(*range(1, 81))
    assert len(plan(everyone, limit=100).selected) == 8
    assert len(plan(everyone, limit=100, surgeries="1-20").selected) == 20


def test_items_are_taken_evenly_from_the_middles_of_stretches() -> None:
    assert evenly(list(range(10)), 2) == [2, 7]
    assert evenly(list(range(3)), 5) == [0, 1, 2]
    assert evenly(list(range(100)), 0) == []


def test_a_limit_is_shared_out_and_what_one_lacks_the_others_give() -> None:
    assert shares(10, {"a": 100, "b": 100, "c": 100}) == {"a": 4, "b": 3, "c": 3}
    assert shares(10, {"a": 1, "b": 100, "c": 2}) == {"a": 1, "b": 7, "c": 2}
    assert shares(10, {"a": 1, "b": 2}) == {"a": 1, "b": 2}


def test_a_rate_must_lie_on_the_clock() -> None:
    assert step_of(Fraction(1), "25/1") == 25
    assert step_of(Fraction(1, 5), "25/1") == 125
    with pytest.raises(CotgenError, match="--fps 2: the clock of this source has 25 frames a second"):
        step_of(Fraction(2), "25/1")


def facts(*rows: tuple[int, str, list[str]], tools_until: int = 10_000) -> SurgeryFacts:
    """(index, phase, instruments)."""
    said = [(index, "cholec80.phase.0", "phase", [phase], [], 1.0, "cholec80") for index, phase, _ in rows] + [
        (index, f"cholec80.instrument.{n}", "instrument", [tool], [], 1.0, "cholec80")
        for index, _, tools in rows
        for n, tool in enumerate(tools)
    ]
    labelled = [(index, "cholec80.phase") for index, _, _ in rows]
    labelled += [(index, "cholec80.instrument") for index, _, _ in rows if index < tools_until]
    return SurgeryFacts(
        "cholec80/1",
        pl.DataFrame(said, schema=FACTS_SCHEMA, orient="row"),
        pl.DataFrame(labelled, schema=LABELLED_SCHEMA, orient="row"),
    )


def test_every_labelled_frame_is_taken_but_the_excluded() -> None:
    found = facts((0, "a", []), (25, "a", ["x"]), (50, "b", []))
    assert choose_frames(found, 0, {25}) == [0, 50]


def test_changes_are_taken_and_every_so_many_seconds() -> None:
    rows = [(25 * second, "a" if second < 7 else "b", ["x"] if 3 <= second < 5 else []) for second in range(14)]
    taken = [index // 25 for index in choose_frames(facts(*rows), 25 * 10, set())]
    assert taken == [0, 3, 5, 7, 10]


def test_an_instant_without_tool_labels_is_no_change_of_tools() -> None:
    rows = [(5 * n, "a", ["x"] if n % 5 == 0 else []) for n in range(11)]
    found = facts(*rows)
    sparse = SurgeryFacts(
        found.surgery,
        found.facts,
        found.labelled.filter((pl.col("name") == "cholec80.phase") | (pl.col("index") % 25 == 0)),
    )
    assert choose_frames(sparse, 10_000, set()) == [0]
