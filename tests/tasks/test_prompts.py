"""Prompt templates and what is wrong with bad ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from x3spatial.errors import UserError
from x3spatial.tasks.spec import TASKS, task_templates


def test_built_in_templates_render() -> None:
    templates = task_templates()
    assert set(templates) == {spec.template for spec in TASKS.values()}
    for name, template in templates.items():
        text = template.render("(0.100, 0.200)")
        assert "<image>" not in text and "{" not in text
        assert ("(0.100, 0.200)" in text) == (name == "t1_concat")
        assert template.format not in template.question
        assert ("NOT_VISIBLE" in text) == (name in ("t1_multi", "t1_concat"))
        assert ("NO_CHANGE" in text) == (name == "t2b_unchanged")


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("t1_multi.txt", "just text", "start with"),
        ("t1_multi.txt", "[question]\na\n", "needs exactly"),
        ("t1_multi.txt", "[question]\n\n[format]\nb\n", "none empty"),
        ("t1_multi.txt", "[question]\n<image>a\n[format]\nb\n", "<image>"),
        ("t1_multi.txt", "[question]\n{label}?\n[format]\nb\n", "{label}"),
        ("t1_concat.txt", "[question]\na\n[reference]\nhere\n[format]\nb\n", "{reference_point}"),
        ("t9.txt", "[question]\na\n[format]\nb\n", "no template"),
    ],
)
def test_bad_templates_are_refused_by_name(
    name: str, text: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError) as caught:
        task_templates(tmp_path)
    assert reason in str(caught.value) and str(tmp_path) in str(caught.value)


def test_missing_folder_and_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        task_templates(tmp_path / "nope")
    with pytest.raises(UserError, match="holds no template"):
        task_templates(tmp_path)
