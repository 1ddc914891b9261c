"""One profile for all property-based tests: the same examples each time, and no deadline on a busy machine."""

import signal

from hypothesis import HealthCheck, settings

settings.register_profile(
    "fast", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.load_profile("fast")

# Under nohup, programs that tests start would be deaf to the end of a terminal too; a handler is not handed on.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)
