"""Locust comes first: it patches sockets and threads for gevent, and everything imported later must see that."""

import locust  # noqa: F401
from hypothesis import HealthCheck, settings

settings.register_profile(
    "fast", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.load_profile("fast")
