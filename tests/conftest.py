"""One profile for all property-based tests: the same examples each time, and no deadline on a busy machine."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "fast", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.load_profile("fast")
