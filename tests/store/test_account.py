import pytest

from app.store.account import ACCOUNT_FILE, UsedBytes, open_account

COUNT = """
import sys
from pathlib import Path
from app.store.account import UsedBytes, open_account
print("here", flush=True)
sys.stdin.readline()
for _ in range(3000):
    with open_account(Path(sys.argv[1])) as account:
        account.write((account.read() or UsedBytes()) + UsedBytes(visits=1, kept=2))
"""


def test_what_two_processes_count_is_not_lost(start, tmp_path):
    processes = [start(COUNT, tmp_path) for _ in range(2)]
    for process in processes:
        assert process.stdout.readline() == "here\n"
    for process in processes:
        print(file=process.stdin, flush=True)
    for process in processes:
        assert process.wait(60) == 0
    with open_account(tmp_path) as account:
        assert account.read() == UsedBytes(visits=6000, kept=12000)


@pytest.mark.parametrize("text", [b"", b"12", b"0" * 20, b"x" * 41, b"-0000000000000000001 " + b"0" * 20])
def test_a_damaged_account_is_none_and_can_be_written_anew(tmp_path, text):
    (tmp_path / ACCOUNT_FILE).write_bytes(text)
    with open_account(tmp_path) as account:
        assert account.read() is None
        account.write(UsedBytes(7, 9))
        assert account.read() == UsedBytes(7, 9)


def test_a_smaller_number_replaces_a_larger_one(tmp_path):
    for number in (10**15, 3):
        with open_account(tmp_path) as account:
            account.write(UsedBytes(number, number))
    with open_account(tmp_path) as account:
        assert account.read() == UsedBytes(3, 3)
