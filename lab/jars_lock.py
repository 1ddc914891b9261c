"""Writes kafka-jars.lock: asks Maven once what pom.xml resolves to, and hashes what it downloaded.

Run by `make jars-lock` after pom.xml changed. Nothing else of the project needs Maven.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from lab.cache import sha256_of, write_atomically
from lab.jars import LOCK, Jar, parse_lock, render_lock
from scenarios.errors import LabError

POM = Path(__file__).with_name("pom.xml")

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def parse_dependency_list(text: str) -> list[Jar]:
    """The jars of `mvn dependency:list -DoutputAbsoluteArtifactFilename=true`, hashed where Maven put them."""
    jars = []
    for raw in text.splitlines():
        # `   group:artifact:extension:version:scope:/absolute/file -- module …`
        parts = _ANSI.sub("", raw).strip().split(" -- ")[0].split(":", 5)
        if len(parts) != 6:
            continue
        group, artifact, extension, version, _scope, file = parts
        digest = sha256_of(Path(file.strip()))
        jars.append(Jar(group=group, artifact=artifact, version=version, extension=extension, sha256=digest))
    return jars


def main() -> int:
    """Write the lock; 0 when it is written."""
    maven = shutil.which("mvn")
    if maven is None:
        print("mvn is not on PATH; making the lock needs Maven (using it does not)", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as directory:
        listing = Path(directory) / "dependencies.txt"
        command = [maven, "-q", "-B", "-f", str(POM), "dependency:list", "-DincludeScope=runtime"]
        command += [f"-DoutputFile={listing}", "-DoutputAbsoluteArtifactFilename=true"]
        if (code := subprocess.run(command, check=False).returncode) != 0:
            print(f"mvn ended with {code}; its own words are above", file=sys.stderr)
            return 1
        text = render_lock(parse_dependency_list(listing.read_text(encoding="utf-8")))
    try:
        jars = parse_lock(text)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    write_atomically(LOCK, text)
    print(f"{LOCK.name}: {len(jars)} jars")
    return 0


if __name__ == "__main__":
    sys.exit(main())
