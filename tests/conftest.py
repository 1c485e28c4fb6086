"""Lets every test import the builders beside this file, whichever import mode pytest runs in."""

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

# Nothing is asserted on a clock: how long an example takes to draw or to run says how busy the machine is.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
