"""Tests of real processes and threads need a process that Locust has not patched: a pytest of their own."""

import pytest
from gevent.monkey import is_module_patched


@pytest.fixture(autouse=True, scope="session")
def unpatched() -> None:
    if is_module_patched("threading"):
        pytest.exit("run tests/lab and tests/lab_unit apart from the rest, as `make check` does")
