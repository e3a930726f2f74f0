"""Chinese pages follow their English ones: same structure, code, figures and links, and none is behind.

``python scripts/translations.py`` lists what is to be done, ``--done PAGE`` records that it is done.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from docs.markdown import anchors, joined_links, prose
from helpers.paths import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "scripts"))
import translations
from translation.pages import (
    ONLY_CHINESE,
    README_ZH,
    Pair,
    digest,
    mark_of,
    marked_as_done,
    pairs,
)
from translation.structure import BLOB, RAW, differences

WIDEST = 110
"""Columns; a Chinese character takes two."""
TRANSLATED = [
    "index", "install", "first-result", "your-own-photos", "roborefer",  # Start
    "evaluate", "compare", "failures", "training", "import", "cluster", "harnesses",  # Guides
]  # fmt: skip
CHINESE = [pair.chinese for pair in pairs()]
ALL = [*CHINESE, *sorted(ONLY_CHINESE)]
_CJK = "\u3400-\u9fff"


@pytest.mark.parametrize("pair", pairs(), ids=CHINESE)
def test_a_chinese_page_follows_its_english_one(pair: Pair) -> None:
    found = differences(pair)
    assert not found, "\n".join(["", *found])


def test_readme_start_and_guides_are_translated() -> None:
    assert {README_ZH, *(f"docs/zh/{name}.md" for name in TRANSLATED)} <= set(CHINESE)


@pytest.mark.parametrize("page", ALL)
def test_lines_are_not_too_wide(page: str) -> None:
    def columns(line: str) -> int:
        plain = re.sub(r"<!--.*?-->", "", line)
        return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in plain)

    wide = [
        f"{page}:{number}: {columns(line)} columns"
        for number, line in prose(page)
        if columns(line) > WIDEST
        and not line.lstrip().startswith(("|", "!["))
        and not re.fullmatch(r"\[[^\]]+\]: \S+", line)
    ]
    assert not wide, "\n".join(wide)


@pytest.mark.parametrize("page", ALL)
def test_punctuation_and_spaces(page: str) -> None:
    """Full-width punctuation between Chinese words; a space between Chinese and Latin ones."""
    faults = []
    for number, line in prose(page):
        plain = re.sub(r"<!--.*?-->", "", line)
        words = (
            re.sub(r"\]\([^)]*\)|\]\[[^\]]*\]", "]", plain)
            .replace("*", "")
            .replace("[", "")
            .replace("]", "")
        )
        words = re.sub(r"`[^`]*`", "x", words)
        for found in re.finditer(
            rf"[{_CJK}][,;:!?]|[{_CJK}]\.(?!\w)|[{_CJK}][A-Za-z0-9]|[A-Za-z0-9%][{_CJK}]", words
        ):
            faults.append(f"{page}:{number}: {words[max(0, found.start() - 8) : found.end() + 8]}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("page", ALL)
def test_links_and_anchors_of_chinese_pages_resolve(page: str) -> None:
    broken = []
    for target in joined_links(page):
        folder = (REPOSITORY / page).parent
        for base in (BLOB, RAW):
            if target.startswith(base):
                target, folder = target.removeprefix(base), REPOSITORY
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = folder / file if file else REPOSITORY / page
        if not path.exists():
            broken.append(f"{target}: no such file")
        elif anchor and anchor not in anchors(path):
            broken.append(f"{target}: no such heading")
    assert not broken, "\n".join(broken)


# A pair of pages that agree, and what each mutation of one of them is reported as.

ENGLISH = """# Rooms

Takes 2.2 min<!-- fig: demo.seconds --> on 12 rooms. See [metrics](metrics.md#hitmask) and
[the rooms](#two-rooms).

![A room](images/room.jpg)

## Two rooms

- one with `--seed`
- another

```bash
x3 scenes rooms --seed 3  # the same rooms again
```

| room | doors |
|---|---|
| hall | 2 |
"""
CHINESE_PAGE = """# 房间

12 个房间需要 2.2 分钟<!-- fig: demo.seconds -->。见[指标](../metrics.md#hitmask)和[房间](#两个房间)。

![一个房间](../images/room.jpg)

## 两个房间

- 一个用 `--seed`
- 另一个

```bash
x3 scenes rooms --seed 3  # 再次得到相同的房间
```

| 房间 | 门 |
|---|---|
| 大厅 | 2 |
"""


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    for name, text in (
        ("rooms", ENGLISH),
        ("metrics", "# Metrics\n\n## Hit@Mask\n"),
        ("zh/rooms", CHINESE_PAGE),
    ):
        path = tmp_path / "docs" / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    found = Pair("docs/rooms.md", "docs/zh/rooms.md", tmp_path)
    marked_as_done(found)
    return found


def changed(pair: Pair, name: str, old: str, new: str) -> list[str]:
    path = pair.root / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return differences(pair)


def test_pages_that_agree(pair: Pair) -> None:
    assert differences(pair) == []
    marked_as_done(pair)
    assert differences(pair) == []
    assert mark_of((pair.root / pair.chinese).read_text("utf-8")) == (
        "docs/rooms.md",
        digest(ENGLISH),
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("## 两个房间", "### 两个房间", "levels of headings [1, 3]"),
        ("--seed 3", "--seed 4", "code block 1 is not the English one: 'x3 scenes rooms --seed 4'"),
        ("```bash", "```text", "code block 1 is not"),
        ("<!-- fig: demo.seconds -->", "", "markers and comments lost in translation: fig: demo.seconds"),
        ("<!-- fig: demo.seconds -->", "<!-- fig: demo.disk -->", "does not have: fig: demo.disk"),
        ("../metrics.md#hitmask", "../metrics.md", "links lost in translation: docs/metrics.md#hitmask"),
        ("../metrics.md", "../../docs/limits.md", "does not have: docs/limits.md#hitmask"),
        ("(#两个房间)", "(#房间)", "links lost in translation: docs/zh/rooms.md#两个房间"),
        ("../images/room.jpg", "../images/hall.jpg", "lost in translation: !docs/images/room.jpg"),
        ("`--seed`", "`--sead`", "inline code lost in translation: --seed"),
        ("12 个房间", "13 个房间", "numbers lost in translation: 12"),
        ("12 个房间", "12.5 个房间", "numbers that the English page does not have: 12.5"),
        ("- 另一个\n", "", "1 points of lists, the English page has 2"),
        ("| 大厅 | 2 |\n", "", "tables [(2, 2)], the English page has [(3, 2)]"),
        ("translates: docs/rooms.md", "translates: docs/room.md", "its last line must be"),
    ],
)  # fmt: skip
def test_a_difference_is_named(pair: Pair, old: str, new: str, said: str) -> None:
    found = changed(pair, pair.chinese, old, new)
    assert said in "\n".join(found)
    assert all(line.startswith("docs/zh/rooms.md: ") for line in found)
    assert found[-1].endswith("run: python scripts/translations.py --done docs/zh/rooms.md")


@pytest.mark.parametrize("mutate", [str.upper, lambda word: f"{word} {word}"])
def test_a_changed_english_page_makes_its_translation_stale(
    pair: Pair, mutate: Callable[[str], str]
) -> None:
    found = changed(pair, pair.english, "Takes", mutate("Takes"))
    assert len(found) == 1 and "docs/rooms.md has changed since it was translated" in found[0]
    marked_as_done(pair)
    assert differences(pair) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Takes 2.2 min<", "Takes 130.5 s<"),  # measured again
        ("12 rooms. See [metrics]", "12 rooms.\nSee [metrics]"),  # wrapped otherwise
        ("```bash", "<!-- not run: takes long -->\n```bash"),  # compared, but no words
    ],
)
def test_new_figures_and_wrapping_ask_for_nothing(pair: Pair, old: str, new: str) -> None:
    assert not any("has changed since" in line for line in changed(pair, pair.english, old, new))


def test_a_page_that_is_gone(pair: Pair) -> None:
    (pair.root / pair.english).unlink()
    assert differences(pair) == ["docs/zh/rooms.md: docs/rooms.md is not there"]


def test_links_go_to_the_chinese_page_where_there_is_one(pair: Pair) -> None:
    (pair.root / "docs/zh/metrics.md").write_text("# 指标\n\n## 命中率\n", encoding="utf-8")
    assert "links lost in translation: docs/zh/metrics.md#命中率" in "\n".join(differences(pair))
    assert changed(pair, pair.chinese, "../metrics.md#hitmask", "metrics.md#命中率") == []


def test_the_script_lists_what_is_behind_and_records_what_is_done(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["translations.py", *arguments])
        code = translations.main()
        return code, *capsys.readouterr()

    monkeypatch.setattr(translations, "pairs", lambda: [pair])
    monkeypatch.setattr(translations, "REPOSITORY", pair.root)
    monkeypatch.chdir(pair.root)
    assert run() == (0, "All Chinese pages follow their English ones.\n", "")
    changed(pair, pair.english, "Takes", "It takes")
    code, out, _ = run()
    assert code == 1 and "docs/rooms.md has changed since it was translated" in out
    assert run("--done", pair.chinese) == (0, "", "")
    assert run()[0] == 0
    assert run("--done", "docs/rooms.md") == (
        2,
        "",
        "translations.py: docs/rooms.md: no such Chinese page\n",
    )
