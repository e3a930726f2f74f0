"""The software bill of materials of a wheel, in CycloneDX's JSON.

It has what pip installs for `x3spatial` without extras, at the pinned versions, and the libraries that are
built into the pages. cyclonedx-py lists the packages; the library that validates comes with it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from release_tools.bundled import Bundled, bundled
from release_tools.words import ReleaseError

SPEC = "1.6"


def write_sbom(wheel: Path, root: Path, out: Path, epoch: int) -> None:
    """Install the wheel into a fresh environment, list what is in it, and write that to ``out``.

    Raises:
        ReleaseError: pip or cyclonedx-py fail, or the document is not valid.
    """
    document = json.loads(_environment(wheel, root, epoch))
    for component in (document["metadata"]["component"], *document["components"]):
        if component["name"] == "x3spatial":
            component["version"] = wheel.name.split("-")[1]
            component["hashes"] = [
                {"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}
            ]
            component.pop("externalReferences", None)  # the path of the wheel on this machine
    add_bundled(document, bundled(root))
    text = json.dumps(document, indent=1, sort_keys=True) + "\n"
    if message := invalid(text):
        raise ReleaseError(f"{out.name}: not valid CycloneDX {SPEC}: {message}")
    out.write_text(text, encoding="utf-8")


def add_bundled(document: dict[str, Any], libraries: list[Bundled]) -> None:
    """Add libraries that lie inside of the wheel, as what x3spatial depends on."""
    root = document["metadata"]["component"]["bom-ref"]
    lines = {line["ref"]: line for line in document["dependencies"]}
    root_line = lines.get(root, {"ref": root})
    for library in libraries:
        ref = f"npm:{library.name}=={library.version}"
        document["components"].append(
            {
                "bom-ref": ref,
                "type": "library",
                "name": library.name,
                "version": library.version,
                "purl": f"pkg:npm/{quote(library.name, safe='/')}@{library.version}",
                "licenses": [{"license": {"id": library.licence}}],
                "hashes": [
                    {"alg": "SHA-512", "content": base64.b64decode(library.sha512).hex()},
                ],
                "description": "built into x3spatial/reports/web/assets",
            }
        )
        document["dependencies"].append({"ref": ref})
        root_line.setdefault("dependsOn", []).append(ref)
    if root not in lines:
        document["dependencies"].append(root_line)


def invalid(text: str) -> str:
    """What is wrong with a document by CycloneDX's own schema; empty if nothing is."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    return " ".join(str(found).split())[:300] if found else ""


def _environment(wheel: Path, root: Path, epoch: int) -> str:
    with tempfile.TemporaryDirectory(prefix="x3-sbom-") as folder:
        environment = Path(folder) / "venv"
        _call([sys.executable, "-m", "venv", "--without-pip", str(environment)])
        inside = str(environment / "bin" / "python")
        constraints = str(root / "requirements" / "constraints.txt")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", inside]
        _call([*pip, "install", "--quiet", "--constraint", constraints, str(wheel)])
        project = Path(folder) / "pyproject.toml"
        project.write_bytes((root / "pyproject.toml").read_bytes())
        return _call(
            [
                str(Path(sys.executable).with_name("cyclonedx-py")), "environment", inside,
                "--pyproject", str(project), "--mc-type", "library", "--output-reproducible",
                "--sv", SPEC, "--output-format", "JSON", "--output-file", "-",
            ],
            epoch,
        )  # fmt: skip


def _call(command: list[str], epoch: int = 0) -> str:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no message"]
        raise ReleaseError(f"{' '.join(Path(c).name for c in command[:4])}: {lines[-1]}")
    return done.stdout
