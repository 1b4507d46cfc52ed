"""A call that stands still in a client ends its process; one that returns in time has no consequence."""

import subprocess
import sys
import threading
import time

import pytest

from payments_platform.streaming.deadline import within


@pytest.mark.row("E1")
def test_a_process_whose_call_never_returns_ends_itself_and_says_which() -> None:
    program = (
        "import threading; from payments_platform.streaming.deadline import within\n"
        "with within(0.2, 'the request'): threading.Event().wait(60)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 70
    assert "the request did not return within 0 s" in done.stderr


def test_a_call_that_returns_or_raises_in_time_ends_nothing() -> None:
    told: list[str] = []
    with within(0.05, "fine", told.append):
        pass
    with pytest.raises(ValueError, match="own"), within(0.05, "raises", told.append):
        raise ValueError("own")
    time.sleep(0.15)
    assert told == []


def test_the_end_is_told_from_another_thread() -> None:
    told = threading.Event()
    with within(0.01, "slow", lambda _: told.set()):
        assert told.wait(10)
