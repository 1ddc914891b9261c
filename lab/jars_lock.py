"""Writes a lock for each version of Kafka: asks Maven what pom.xml resolves to, and hashes what it downloaded.

Run by `make jars-lock` after pom.xml changed, or with a version that is to join. Nothing else here needs Maven.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from lab.cache import sha256_of, write_atomically
from lab.jars import Jar, known_versions, lock_file, parse_lock, render_lock
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


def main(versions: list[str]) -> int:
    """Write the locks of these versions of Kafka, or of those that have one; 0 when they are written."""
    maven = shutil.which("mvn")
    if maven is None:
        print("mvn is not on PATH; making the lock needs Maven (using it does not)", file=sys.stderr)
        return 1
    for version in versions or known_versions():
        try:
            text = _resolve(maven, version)
            count = len(parse_lock(text))
        except (LabError, subprocess.CalledProcessError) as error:
            print(f"Kafka {version}: {error}; Maven's own words, if any, are above", file=sys.stderr)
            return 1
        write_atomically(lock_file(version), text)
        print(f"{lock_file(version).name}: {count} jars")
    return 0


def _resolve(maven: str, version: str) -> str:
    with tempfile.TemporaryDirectory() as directory:
        listing = Path(directory) / "dependencies.txt"
        command = [maven, "-q", "-B", "-f", str(POM), "dependency:list", "-DincludeScope=runtime"]
        command += [f"-Dkafka.version={version}", f"-DoutputFile={listing}", "-DoutputAbsoluteArtifactFilename=true"]
        subprocess.run(command, check=True)
        return render_lock(parse_dependency_list(listing.read_text(encoding="utf-8")))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
