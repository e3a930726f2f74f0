"""The registry of export formats. A new format is a file and a line here."""

from __future__ import annotations

from x3spatial.exporters.base import Format
from x3spatial.exporters.harnesses.inspect import Inspect
from x3spatial.exporters.harnesses.lmms_eval import LmmsEval
from x3spatial.exporters.harnesses.vlmevalkit import VlmEvalKit
from x3spatial.exporters.hf_datasets import HfDatasets
from x3spatial.exporters.hub.benchmark import HfBenchmark
from x3spatial.exporters.llava import Llava
from x3spatial.exporters.ms_swift import MsSwift
from x3spatial.exporters.refspatial import RefSpatialBench
from x3spatial.exporters.sharegpt import ShareGpt
from x3spatial.exporters.trl import Trl

FORMATS: dict[str, type[Format]] = {
    entry.name: entry
    for entry in (
        Llava,
        ShareGpt,
        MsSwift,
        Trl,
        HfDatasets,
        HfBenchmark,
        LmmsEval,
        VlmEvalKit,
        Inspect,
        RefSpatialBench,
    )
}
