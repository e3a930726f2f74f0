"""The Chinese names and sentences of the report page against what the Python code can write into it."""

from __future__ import annotations

import ast
import itertools
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

import pytest

from helpers.paths import REPOSITORY, SRC
from x3spatial.evaluation.statistics.chance import ASKED, ASKED_FOR_BOXES
from x3spatial.evaluation.statistics.chance_boxes import CENTRE_BOX
from x3spatial.formats.results_head import CiUnit
from x3spatial.formats.results_table import masks_in_words
from x3spatial.reports.figures import all_metrics
from x3spatial.reports.outcomes import OUTCOMES
from x3spatial.roots.findings import Level, all_findings
from x3spatial.tasks.strata import ABSENCES, STRATA

TABLE = REPOSITORY / "web" / "src" / "report" / "names.zh.json"
WRITERS = ("reports/gather.py", "reports/web/results_site.py")
"""Modules that append (path, reason) to ``problems``."""
SAME_IN_BOTH = {"Hit@Mask", "Success@0.02", "Success@0.05", "Success@0.10", "IoU@0.5"} | {
    "NOT_VISIBLE F1"
}


@cache
def table() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(TABLE.read_text("utf-8"))
    return found


KEYS: dict[str, set[str]] = {
    "metrics": {metric.key for metric in all_metrics()},
    "outcomes": set(OUTCOMES),
    "strata": set(STRATA),
    "values": set(ABSENCES),
    "chance": {*ASKED, *ASKED_FOR_BOXES, CENTRE_BOX, "uniform"},
    "units": set(get_args(CiUnit)),
    "levels": {level.value for level in Level},
    # Two that the pages add: pictures that cannot be shown, and findings of nobody.
    "findings": {*all_findings(), "IMAGE", "OTHER"},
}


@pytest.mark.parametrize("kind", list(KEYS))
def test_every_name_has_a_chinese_one(kind: str) -> None:
    missing, unknown = KEYS[kind] - set(table()[kind]), set(table()[kind]) - KEYS[kind]
    assert not missing, f"web/src/report/names.zh.json: {kind} lacks {sorted(missing)}"
    assert not unknown, (
        f"web/src/report/names.zh.json: {kind} has {sorted(unknown)}, nothing else has"
    )


def test_chinese_is_chinese() -> None:
    for kind, names in table().items():
        for key, name in names.items():
            assert name in SAME_IN_BOTH or re.search(r"[\u4e00-\u9fff]", name), (kind, key)
            assert not re.search(r"[\u4e00-\u9fff][,;:!?]", name), f"{name}: full-width punctuation"


@cache
def texts_of_the_source() -> frozenset[str]:
    """Every text of the packages that write into the page, with ``{}`` where a value stands."""
    found: set[str] = set()
    folders = [SRC / "x3spatial" / name for name in ("reports", "evaluation", "formats", "io")]
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.expr) and (text := text_of(node)) is not None:
                found.add(text)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "counted":
                nouns = [text_of(argument) for argument in node.args[1:2]]
                found |= {f"{{}} {noun}{end}" for noun in nouns for end in ("", "s")}
    return frozenset(found)


def text_of(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or "{}" for part in node.values)
    return None


COMPOSED = {
    # (what a reader may see, why it stands nowhere in the source as one text)
    "image: {}; if folders were moved, use --image-root": "missing_summary, one picture",
    "image: {}; {} of {} images cannot be shown; if folders were moved, use --image-root": "several",
    "image: {}": "a part of the above",
    "{} run on {} set": "counted", "{} run on {} sets": "counted",
    "{} runs on {} set": "counted", "{} runs on {} sets": "counted",
    "dilated and tight masks": "masks_in_words", "{} and masks of unknown kind": "masks_in_words",
}  # fmt: skip


def test_every_sentence_is_one_that_the_program_writes() -> None:
    known = texts_of_the_source()
    for sentence, chinese in table()["sentences"].items():
        plain = sentence.replace("{#}", "{}")
        assert plain in COMPOSED or plain in known, (
            f"no text of the package is {sentence!r} any more: change its key in {TABLE.name}"
        )
        assert chinese.count("{") == sentence.count("{"), sentence


def told(text: str) -> str | None:
    """The Chinese of a sentence, as names.ts finds it."""

    def literal(chinese: str) -> int:
        return len(re.sub(r"\{\d?\}", "", chinese))

    for english, chinese in sorted(table()["sentences"].items(), key=lambda one: -literal(one[1])):
        pattern = "".join(
            {"{}": "(.*?)", "{#}": r"([\d,]+)"}.get(part) or re.escape(part)
            for part in re.split(r"(\{#?\})", english)
        )
        if found := re.fullmatch(pattern, text, re.DOTALL):
            return _filled(chinese, found.groups())
    return None


def _filled(chinese: str, parts: tuple[str, ...]) -> str:
    places = itertools.count()

    def part(match: re.Match[str]) -> str:
        text = parts[int(match[1] or next(places))]
        return told(text) or text

    return re.sub(r"\{(\d?)\}", part, chinese)


def reasons(module: str) -> Iterator[str]:
    """The reasons of ``problems.append((path, reason))`` with ``{}`` for values."""
    for node in ast.walk(ast.parse((SRC / "x3spatial" / module).read_text("utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "append"
            and ast.unparse(node.func.value).endswith("problems")
        ):
            (pair,) = node.args
            assert isinstance(pair, ast.Tuple)
            text = text_of(pair.elts[1])
            if text is not None:
                yield text


@pytest.mark.parametrize("module", WRITERS)
def test_every_problem_of_a_report_has_a_chinese_sentence(module: str) -> None:
    found = list(reasons(module))
    assert found
    for text in found:
        # Any number and any text in place of the values.
        assert told(text.replace("{}", "7")) is not None, (
            f"{module}: {text!r} is not in {TABLE.name}"
        )


def test_masks_and_conditions() -> None:
    kinds = ("dilated", "tight", "unknown", "none")
    for count in range(1, 5):
        for some in itertools.combinations(kinds, count):
            assert told(masks_in_words(some)), some
    assert told("dilated and tight masks") == "膨胀掩码与精确掩码"
    assert told("tight masks and masks of unknown kind") == "精确掩码与类型未知的掩码"
    assert told("build seed 42") == "构建种子 42"


MOVED = "; if folders were moved, use --image-root"


@pytest.mark.parametrize(
    ("text", "chinese"),
    [
        ("image: file is missing" + MOVED, "图像：文件不存在；若文件夹已移动，请用 --image-root"),
        (
            "image: file is missing; 12 of 1,300 images cannot be shown" + MOVED,
            "图像：文件不存在；共 1,300 幅图像，12 幅无法显示；若文件夹已移动，请用 --image-root",
        ),
        (
            "3 answers not shown: no sample of the set has the same id and right answer",
            "3 个回答未显示：数据集中没有编号和正确答案都相同的样本",
        ),
        ("1 run on 2 sets", "1 次运行，2 个数据集"),
        ("my runs on all sets", None),
        ("something new", None),
    ],
)
def test_sentences(text: str, chinese: str | None) -> None:
    assert told(text) == chinese


def test_no_sentence_stands_in_for_a_longer_one() -> None:
    texts: list[Any] = [key.replace("{#}", "7").replace("{}", "x") for key in table()["sentences"]]
    for text, (key, chinese) in zip(texts, table()["sentences"].items(), strict=True):
        found = told(text)
        first = re.split(r"\{\d?\}", chinese)[-1]
        assert found is not None and found.endswith(first), (key, found)
