"""Versions: what was tried together, what each package demands of the others, and which vLLM TRL takes.

TRL only warns where vLLM is outside its range, and fails later, in the middle of a start: here it is said before.
"""

from __future__ import annotations

import inspect
import re
from importlib import metadata

from cotgen.stages.findings import Findings
from cotgen.stages.run import versions

#: These were run together, on a CPU; `recipes/lock/` has all of them.
TRIED = {
    "torch": "2.13.0",
    "transformers": "5.23.0",
    "trl": "1.16.0",
    "accelerate": "1.15.0",
    "peft": "0.21.2",
    "datasets": "5.2.0",
}
#: Whose demands are looked at: each names others of them, and pip does not hold them when one is changed alone.
_DEMANDING = ("cotgen", "trl", "transformers", "accelerate", "peft", "vllm", "deepspeed")
_RANGE = re.compile(r'Version\("([0-9.]+)"\) <= \w+ <= Version\("([0-9.]+)"\)')


def check_versions(findings: Findings, vllm: bool) -> None:
    """Say which versions are here and whether they go together.

    Args:
        findings: where it is said.
        vllm: whether the run generates with vLLM.
    """
    here = versions()
    told = ", ".join(f"{name} {version}" for name, version in here.items())
    findings.add("versions", "ok", told)
    other = [
        f"{name} {here[name]} (tried: {version})"
        for name, version in TRIED.items()
        if name in here and here[name].partition("+")[0] != version
    ]
    if other:
        findings.add("versions", "note", f"not those that were tried together: {', '.join(other)}")
    for demand in unmet():
        findings.add("versions", "FAIL", f"{demand}; install what recipes/lock names")
    if not vllm:
        return
    if "vllm" not in here:
        findings.add(
            "versions", "FAIL", "use_vllm is set and vllm is not installed: pip install -r recipes/lock/train-vllm.txt"
        )
        return
    from packaging.version import Version

    least, most = vllm_range()
    base = Version(Version(here["vllm"]).base_version)
    if least and not Version(least) <= base <= Version(most):
        findings.add(
            "versions",
            "FAIL",
            f"TRL {here.get('trl', '')} takes vLLM {least} to {most} and here is {here['vllm']}: it would warn, and fail "
            "later; install what recipes/lock/train-vllm.txt names",
        )


def unmet() -> list[str]:
    """Demands of the installed packages that other installed ones do not meet, in words."""
    from packaging.requirements import Requirement

    found = []
    for name in _DEMANDING:
        try:
            demands = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        for text in demands:
            demand = Requirement(text)
            if demand.marker and not demand.marker.evaluate({"extra": ""}):
                continue
            try:
                here = metadata.version(demand.name)
            except metadata.PackageNotFoundError:
                continue
            if not demand.specifier.contains(here, prereleases=True):
                found.append(
                    f"{name} {metadata.version(name)} needs {demand.name}{demand.specifier} and here is {here}"
                )
    return sorted(set(found))


def vllm_range() -> tuple[str, str]:
    """The first and the last vLLM that the installed TRL takes; two empty texts where it does not say."""
    from trl import import_utils

    match = _RANGE.search(inspect.getsource(import_utils.is_vllm_available))
    return (match[1], match[2]) if match else ("", "")
