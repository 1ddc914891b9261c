"""The documents of one judgement: all of them appear, verdict.json last, or none does.

A judgement that begins withdraws those of the one before, which needs no room on the disk, and leaves a mark. The mark
goes when every document is in its place. Whatever ends a judgement before that, be it a full disk, SIGKILL or a power
cut, leaves no old verdict that could pass for its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from run_record.store import open_private, write_text
from scenarios.errors import RunRecordError
from scenarios.judged_run import MARK, VERDICT

FICHE, REPORT, JUNIT, SUMMARY = "fiche.md", "report.html", "junit.xml", "summary.md"
#: In the order in which they appear: who sees a verdict finds the rest.
NAMES = (JUNIT, SUMMARY, REPORT, FICHE, VERDICT)
#: What else shows a verdict.
COMPARISONS = "compare-*.html"
BEGUN = """\
A judgement of this run began and did not reach its end: there is no verdict, and what lies beside this file is not
whole. Judge the run again: mm2gate judge {run}
"""
FAILED = """\
This run could not be judged, so there is no verdict: {why}
"""


@contextmanager
def judgement_of(directory: Path) -> Iterator[None]:
    """The old documents are gone from here on, and nothing passes for a verdict until the block has ended well.

    Raises RunRecordError when they cannot be removed.
    """
    _withdraw(directory)
    with suppress(OSError):  # where there is no room for a mark there is none for a document either, and they are gone
        _write(directory / MARK, BEGUN.format(run=directory))
    try:
        yield
    except BaseException as error:
        _withdraw(directory)
        with suppress(OSError):
            _write(directory / MARK, FAILED.format(why=_why(error)))
        raise
    (directory / MARK).unlink(missing_ok=True)
    _settle(directory)


def publish(directory: Path, documents: Mapping[str, str]) -> None:
    """Puts the documents, name → text, into the run's directory: written whole elsewhere first. Raises RunRecordError,
    and leaves those that were there as they were, when there is no room for all of them."""
    names = sorted(documents, key=NAMES.index)
    ready = {name: directory / f".{name}.{os.getpid()}.ready" for name in names}
    try:
        for name, path in ready.items():
            write_text(path, documents[name])
        for name, path in ready.items():
            path.replace(directory / name)
        _settle(directory)
    except OSError as error:
        raise RunRecordError(f"{directory}: its documents cannot be written ({error.strerror}); make room") from None
    finally:
        for path in ready.values():
            path.unlink(missing_ok=True)


def _withdraw(directory: Path) -> None:
    """Removes the documents, what says the verdict first."""
    try:
        for path in (*(directory / name for name in reversed(NAMES)), *directory.glob(COMPARISONS)):
            path.unlink(missing_ok=True)
        _settle(directory)
    except OSError as error:
        raise RunRecordError(
            f"{error.filename or directory}: is of an earlier judgement and cannot be removed ({error.strerror}); "
            "remove it, then judge the run again"
        ) from None


def _write(path: Path, text: str) -> None:
    with os.fdopen(open_private(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def _settle(directory: Path) -> None:
    """What was renamed and removed outlives a power cut. Raises OSError."""
    number = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _why(error: BaseException) -> str:
    """The sentence of ours; of anything else, its kind."""
    text = str(error).strip()
    return text if text and isinstance(error, Exception) else type(error).__name__
