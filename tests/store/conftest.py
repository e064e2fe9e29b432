"""Other processes that use a folder at the same time."""

import subprocess
import sys

import pytest


@pytest.fixture
def start():
    """start(script, *words) -> a Python process; ended with the test if not before."""
    running = []

    def begin(script, *words):
        command = [sys.executable, "-W", "error", "-c", script, *map(str, words)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()
