"""Packs a real run for this suite: its record and evidence, without the paths and the host of the machine it ran on.

python -m tests.metamorphic.pack runs/20261129T110612Z-phase1_smoke phase1_smoke
"""

from __future__ import annotations

import hashlib
import io
import json
import socket
import sys
import tarfile
from pathlib import Path

from run_record.store import SEAL
from tests.metamorphic.bed import RECORDED


def pack(run: Path, name: str) -> Path:
    """The archive that `Bed.unpack` reads."""
    manifest = json.loads((run / "record" / "manifest.json").read_text(encoding="utf-8"))
    home = str(Path(manifest["environment"]["file"]).parent)
    archive = RECORDED / f"{name}.tar.xz"
    with tarfile.open(archive, "w:xz") as tar:
        for directory in (run / "record", *sorted(run.glob("evidence/*"))):
            seal: list[str] = []
            for path in sorted(directory.iterdir()):
                if path.name != SEAL and not path.name.startswith("."):
                    text = path.read_text(encoding="utf-8").replace(home, "/lab")
                    if path.name == "manifest.json":  # a short name stands in many a text of a histogram too
                        text = text.replace(json.dumps(socket.gethostname()), '"loader"')
                    _add(tar, path.relative_to(run.parent), text, seal)
            _add(tar, (directory / SEAL).relative_to(run.parent), "".join(seal), [])
    return archive


def _add(tar: tarfile.TarFile, name: Path, text: str, seal: list[str]) -> None:
    content = text.encode()
    info = tarfile.TarInfo(str(name))
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))
    seal.append(sums_line(name.name, content))


def sums_line(name: str, content: bytes) -> str:
    """A line of the seal, as `run_record.store.sums` writes it."""
    return f"{hashlib.sha256(content).hexdigest()}  {name}\n"


if __name__ == "__main__":
    sys.stdout.write(f"{pack(Path(sys.argv[1]), sys.argv[2])}\n")
