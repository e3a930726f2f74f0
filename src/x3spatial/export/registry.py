"""The formats there are. A new one is a file and a line here."""

from __future__ import annotations

from x3spatial.export.base import Format
from x3spatial.export.hf_datasets import HfDatasets
from x3spatial.export.llava import Llava
from x3spatial.export.ms_swift import MsSwift
from x3spatial.export.sharegpt import ShareGpt
from x3spatial.export.trl import Trl

FORMATS: dict[str, type[Format]] = {
    entry.name: entry for entry in (Llava, ShareGpt, MsSwift, Trl, HfDatasets)
}
