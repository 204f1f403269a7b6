"""Text: diversity in the most frequent cell, support, planted errors."""

from collections import Counter

from cotgen.chains.checks.wording import RULES
from cotgen.chains.diversity import entropy_bits, plan, signature, skeleton
from cotgen.chains.write import write_surgery
from cotgen.records import Pair
from cotgen.surgeries.priors import count_priors
from cotgen.tasks import TASKS
from tests.chains.conftest import as_facts, make_scene, make_surgery
from tests.chains.mutants import KINDS
from tests.chains.test_mutants import rates


def run() -> str:
    surgeries = [make_surgery(number) for number in (1, 2, 4, 5, 13, 15)]
    priors = count_priors((as_facts(scenes) for scenes in surgeries), "clean/1")
    frequent = [
        make_scene("cholec80/1", 25 * n, "calot_triangle_dissection", ["grasper", "hook"]) for n in range(1000)
    ]
    # Yes and no are balanced against frames of the same phase, so the cell of a "yes" needs as many frames without it.
    frequent += [make_scene("cholec80/1", 25 * n, "calot_triangle_dissection", ["grasper"]) for n in range(1000, 2000)]
    cells: dict[tuple[str, ...], list[Pair]] = {}
    for scene, pairs in zip(
        frequent, write_surgery(frequent, tasks=list(TASKS), seed=0, priors=priors).pairs, strict=True
    ):
        for pair in pairs:
            cells.setdefault(signature(scene, pair), []).append(pair)
    lines = [
        "| question, 1,000 chains with equal facts | plans, bits | most frequent plan | skeletons, bits |",
        "|---|---|---|---|",
    ]
    for name, pairs in cells.items():
        if len(pairs) >= 1000 and "cholec80.instrument.hook" in name:
            plans = Counter(plan(pair) for pair in pairs)
            top = plans.most_common(1)[0][1] / len(pairs)
            bits = entropy_bits(skeleton(pair) for pair in pairs)
            lines.append(f"| {name[0]} | {entropy_bits(plan(p) for p in pairs):.1f} | {top:.1%} | {bits:.1f} |")
    written = [write_surgery(scenes, tasks=list(TASKS), seed=0, priors=priors) for scenes in surgeries]
    chains = [pair for result in written for pairs in result.pairs for pair in pairs]
    leaks = sum(bool(RULES["leak"][1].search(s.text)) for pair in chains for s in pair.statements)
    refused = sum((result.refused for result in written), Counter[str]())
    support = Counter(pair.support for pair in chains)
    shares = ", ".join(f"{name} {count / len(chains):.0%}" for name, count in support.most_common())
    made, caught = rates(surgeries, priors)
    least = min(KINDS, key=lambda name: caught[name] / made[name])
    lines += [
        "",
        f"{len(chains):,} chains of look-alike surgeries: {sum(refused.values())} refused, {leaks} leak phrases; {shares}.",
        f"{sum(made.values()):,} planted errors of {len(KINDS)} kinds: "
        f"{sum(caught.values()) / sum(made.values()):.2%} caught; "
        f"least: {least}, {caught[least]} of {made[least]}.",
    ]
    return "\n".join(lines)
