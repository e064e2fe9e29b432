"""A fixture of other processes that use a folder at the same time."""

import subprocess
import sys

import pytest


@pytest.fixture
def start():
    """Return start(script, *words), which starts a Python process; end it with the test if not before."""
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
