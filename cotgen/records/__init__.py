"""The nouns of cotgen as types. `schemas/` is written from here."""

from cotgen.records.base import Record, canonical_json
from cotgen.records.fact import Fact, Measured
from cotgen.records.frame import Frame
from cotgen.records.manifest import LeftOut, Manifest, Shard, SourceTerms
from cotgen.records.pair import Finding, Pair, Severity, Support
from cotgen.records.review import VERDICTS, WHOLE_CHAIN, Review, Verdict, marked_sha256
from cotgen.records.sample import SPLITS, Context, Sample, Split, sample_key, surgery_of_key
from cotgen.records.scene import Scene, disputes
from cotgen.records.statement import BASES, LEVEL_NAMES, Basis, EvidenceRef, Statement

__all__ = [
    "BASES",
    "LEVEL_NAMES",
    "SPLITS",
    "VERDICTS",
    "WHOLE_CHAIN",
    "Basis",
    "Context",
    "EvidenceRef",
    "Fact",
    "Finding",
    "Frame",
    "LeftOut",
    "Manifest",
    "Measured",
    "Pair",
    "Record",
    "Review",
    "Sample",
    "Scene",
    "Severity",
    "Shard",
    "SourceTerms",
    "Split",
    "Statement",
    "Support",
    "Verdict",
    "canonical_json",
    "disputes",
    "marked_sha256",
    "sample_key",
    "surgery_of_key",
]
