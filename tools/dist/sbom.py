"""The list of what is in the bundle, for whoever has to answer for it: CycloneDX 1.5, JSON.

Made from the wheels themselves: what is listed is what is carried, with its hash, and with the licence its author
named. The serial number is that of the content: the same content has the same one.
"""

from __future__ import annotations

import hashlib
import json
import uuid
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import Any


def write(wheels: Iterable[Path], target: Path, *, version: str, epoch: int) -> None:
    """Describe the wheels in `target`."""
    found: dict[str, dict[str, Any]] = {}
    for wheel in sorted(wheels):
        entry = _component(wheel)
        known = found.setdefault(entry["bom-ref"], entry)
        if known is not entry:  # the same release for another Python
            known["components"] = [*known.get("components", []), *entry["components"]]
    components = [entry for entry in found.values() if entry["name"] != "servha"]
    answer = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": "",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": next(entry for entry in found.values() if entry["name"] == "servha"),
        },
        "components": components,
        "dependencies": [
            {"ref": f"pkg:pypi/servha@{version}", "dependsOn": [entry["bom-ref"] for entry in components]}
        ],
    }
    digest = hashlib.sha256(json.dumps(answer, sort_keys=True).encode()).hexdigest()
    answer["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_OID, digest).urn
    target.write_text(json.dumps(answer, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _component(wheel: Path) -> dict[str, Any]:
    told = _metadata(wheel)
    name, version = str(told["Name"]), str(told["Version"])
    purl = f"pkg:pypi/{name.lower().replace('_', '-').replace('.', '-')}@{version}"
    return {
        "type": "application" if name == "servha" else "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "description": str(told["Summary"] or ""),
        "licenses": [{"license": {"name": _licence(told)}}],
        "purl": purl,
        "components": [
            {
                "type": "file",
                "name": wheel.name,
                "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}],
            }
        ],
    }


def _metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as opened:
        name = next(name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        return HeaderParser().parsestr(opened.read(name).decode())


def _licence(told: Message) -> str:
    """The licence, from the newest of the three places where it may stand; the field of old may hold its whole text."""
    named = [str(words).rpartition(" :: ")[2] for words in told.get_all("Classifier", []) if "License ::" in words]
    short = str(told["License"] or "").strip()
    return str(told["License-Expression"] or "") or (short if 0 < len(short) < 40 else "") or ", ".join(named) or short
