"""First half of `make setup`: the virtual environment. Standard library only, since nothing else is there yet.

Finds a Python new enough, makes .venv, installs the pinned requirements by hash and this project in place; then
hands over to `lab.setup` inside it. A stamp in .venv says for which requirements it was made, so a second call
installs nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

MINIMUM = (3, 11)
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = ROOT / "requirements.txt"
STAMP = VENV / "made-for"

_WIDTH = 30


def fingerprint() -> str:
    """What .venv was made for. The path counts: a moved environment has the old one inside."""
    digest = hashlib.sha256(str(ROOT).encode())
    for file in (REQUIREMENTS, ROOT / "pyproject.toml"):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def is_current() -> bool:
    """Whether .venv is there, whole, and for these requirements."""
    if not STAMP.is_file() or STAMP.read_text(encoding="ascii") != fingerprint():
        return False
    # Its interpreter is a link to the system's: an upgrade may have taken that away.
    return PYTHON.exists() and subprocess.run([str(PYTHON), "-c", ""], check=False).returncode == 0


def install() -> None:
    """Make .venv, or bring it up to date."""
    STAMP.unlink(missing_ok=True)
    starts = PYTHON.exists() and subprocess.run([str(PYTHON), "-m", "pip", "-V"], check=False, capture_output=True)
    if not starts or starts.returncode != 0:
        made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=False, capture_output=True)
        if made.returncode != 0:
            sys.exit(
                "setup: python3 cannot make a virtual environment here; on Debian `apt-get install python3-venv`, "
                "then `make setup` again"
            )
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "install"]
    total = sum("==" in line for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines())
    _run([*pip, "--require-hashes", "-r", str(REQUIREMENTS)], total=total)
    _run([*pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT)], total=0)
    STAMP.write_text(fingerprint(), encoding="ascii")


def _run(command: list[str], *, total: int) -> None:
    """Run pip; on a terminal a bar counts the packages it looked at. On failure its own words are the message."""
    lines: list[str] = []
    seen = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            lines.append(line)
            seen += line.startswith(("Collecting", "Requirement already"))
            if total and sys.stdout.isatty():
                done = min(_WIDTH, _WIDTH * seen // total)
                sys.stdout.write(f"\r  packages         [{'#' * done:<{_WIDTH}}] {seen}/{total}")
                sys.stdout.flush()
    if total and sys.stdout.isatty():
        sys.stdout.write("\r\033[K")
    if child.returncode != 0:
        sys.stderr.writelines(lines[-15:])
        sys.exit("setup: pip could not install the requirements (its words are above); mend that and call again")


def newer_python() -> str | None:
    """Another Python on PATH that is new enough."""
    for minor in range(19, MINIMUM[1] - 1, -1):
        if found := shutil.which(f"python3.{minor}"):
            return found
    return None


def main() -> None:
    """Make .venv current, then become lab.setup."""
    if sys.version_info < MINIMUM:
        other = newer_python()
        if other is None:
            sys.exit(f"setup: Python ≥ 3.{MINIMUM[1]} is needed and python3 is {sys.version.split()[0]}; install it")
        os.execv(other, [other, "-I", __file__])  # noqa: S606
    started = time.time()
    options = ["--started", str(started), *sys.argv[1:]]
    # The checkout's own lock: two setups at once would install into one .venv.
    with REQUIREMENTS.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_current():
            print("  installing the Python packages into .venv (hashes checked) …", flush=True)
            install()
            options.append("--cold")
    print(f"  {'Python packages':<16} {time.time() - started:6.1f} s  {VENV.name}", flush=True)
    os.chdir(ROOT)
    os.execv(PYTHON, [str(PYTHON), "-m", "lab.setup", *options])  # noqa: S606


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("setup: interrupted; the next `make setup` goes on from here")
