# SPDX-License-Identifier: Apache-2.0
"""Time as a test should count it on a machine that others use as well: without what was waited for a CPU.

The kernel counts that (pressure stall information) for the machine as a whole. What is waited for in vain still ends:
after four times as long at the latest.
"""
import time

PRESSURE = "/proc/pressure/cpu"
MOST = 4


def stalled():
    """Seconds so far in which somebody waited for a CPU; 0 where the kernel does not count them."""
    try:
        with open(PRESSURE, encoding="ascii") as f:
            return int(f.readline().rsplit("total=", 1)[1]) / 1e6
    except (OSError, ValueError, IndexError):
        return 0.0


class Stopwatch:
    """Seconds since it was made, as a machine that is not busy would have needed them."""

    def __init__(self):
        self.began, self.stalled = time.monotonic(), stalled()

    def seconds(self):
        passed = time.monotonic() - self.began
        return max(passed - (stalled() - self.stalled), passed / MOST)
