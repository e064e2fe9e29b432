import errno
import json
import logging
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import replace

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

import app.__main__ as command
from app.config import Settings
from app.explorer import resources
from app.jobs import precompute
from app.models import naming
from app.models.catalog import Catalog
from app.models.manifest import write_manifest
from app.store import turns
from app.store.account import ACCOUNT_BYTES
from app.store.artifacts import ArtifactStore
from app.store.jobs import JobStore
from app.store.presence import mark_in_use
from app.store.shelf import WRITE_BITS
from app.web.guard import wire


@pytest.fixture
def served(monkeypatch):
    """The settings that `serve` would have run with, instead of a server that never ends."""
    seen: list[Settings] = []
    monkeypatch.setattr(command, "run_server", seen.append)
    return seen


def run(*words):
    return CliRunner().invoke(command.cli, words)


def test_serve_without_words_serves_the_demo(served):
    assert run("serve").exit_code == 0
    assert served == [Settings()]


def test_serve_passes_its_words_on(served, tmp_path):
    words = ["serve", "gpt2", "demo", "--host", "::1", "--port", "9", "--data", str(tmp_path), "--device", "cpu"]
    words += ["--weights", "raw", "--public-url", "https://lens.example", "--root-path", "/lens", "--allow-jobs"]
    assert run(*words).exit_code == 0
    (settings,) = served
    assert settings.models == ("gpt2", "demo")
    assert (settings.host, settings.port, settings.data, settings.device) == ("::1", 9, tmp_path, "cpu")
    assert (settings.weights, settings.public_url, settings.root_path) == ("raw", "https://lens.example", "/lens")
    assert settings.allow_jobs


@pytest.mark.parametrize(("words", "wanted"), [([], None), (["--precompute"], True), (["--no-precompute"], False)])
def test_serve_precomputes_all_models_or_none_if_told(served, monkeypatch, words, wanted):
    monkeypatch.delenv("SINGULAR_LENS_PRECOMPUTE")
    assert run("serve", *words).exit_code == 0
    assert served[0].precompute is wanted


@pytest.mark.parametrize(
    ("words", "asked_by"),
    [
        (["--job", "0" * 12], "visit"),
        (["--job", "0" * 12, "--ahead"], "operator"),
        ([], "operator"),
    ],
)
def test_who_a_job_is_for_decides_what_it_may_delete(fresh_data, monkeypatch, words, asked_by):
    seen: list[object] = []
    honest = ArtifactStore.__init__

    def note(store, folder, *given):
        if folder.is_relative_to(fresh_data):  # others may be at work in this process
            seen.append(given[-1])
        honest(store, folder, *given)

    monkeypatch.setattr(ArtifactStore, "__init__", note)
    result = run("precompute", "tiny", "--matrices", "L0/mlp-in", "--data", str(fresh_data), *words)
    assert result.exit_code == 0, result.output
    assert seen == [asked_by]


def test_statistics_are_computed_once_and_refused_where_a_model_is_not_run(fresh_data, member):
    for _ in range(2):
        result = run("statistics", "tiny", "--data", str(fresh_data))
        assert result.exit_code == 0, result.output
        assert "the statistics are here" in result.output
    assert len(list((fresh_data / "artifacts").rglob("use*"))) >= 1
    text = fresh_data / "text.txt"
    text.write_text("so it is " * 200)
    assert "the statistics are here" in run("statistics", "tiny", "--data", str(fresh_data), "--text", str(text)).output
    assert not [*(fresh_data / "artifacts").glob("*/use/part/*.safetensors")]  # of the parts nothing is left
    assert len([*(fresh_data / "artifacts").glob("*/use/*.safetensors")]) == 2
    for content, said in (("so", "tokens: at least 512 are needed"), (None, "cannot be read")):
        text.unlink() if content is None else text.write_text(content)
        stopped = run("statistics", "tiny", "--data", str(fresh_data), "--text", str(text))
        assert (stopped.exit_code, said in stopped.output) == (1, True)
    refused = run("statistics", "bert", "--data", str(member("bert").data))
    assert refused.exit_code == 1
    assert "BertForMaskedLM is not run here" in refused.output
    assert "Traceback" not in refused.output


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--port", "99999"], "port"),
        (["--device", "abacus"], "device: "),
        (["--weights", "cooked"], "folded"),
        (["--root-path", "lens"], "root-path"),
        (["--data", ""], "data: "),
        ([""], "models: "),
    ],
)
def test_serve_refuses_bad_words_and_says_which(served, words, named):
    result = run("serve", *words)
    assert result.exit_code == 1
    assert named in result.output
    assert "Traceback" not in result.output
    assert served == []


@pytest.mark.parametrize("models", [["./a/gpt2", "./b/gpt2"], ["./api"], ["./…"]])
def test_serve_refuses_models_that_have_no_name_of_their_own(models, tmp_path):
    result = run("serve", *models, "--port", "0", "--data", str(tmp_path))
    assert result.exit_code == 1
    assert "--name" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("verb", [["serve", "--port", "0"], ["precompute"]])
def test_a_folder_or_hub_id_whose_name_is_others_is_refused(verb, hostile_folder, fresh_data, tmp_path):
    other = shutil.copytree(hostile_folder, tmp_path / "runs" / "tiny")
    for word, said in (
        (str(other), "'tiny' already names other weights"),
        (str(tmp_path / "no" / "tiny"), "there is no folder 'tiny'"),
        ("somebody-else/tiny", "not known to be those of 'somebody-else/tiny'"),
    ):
        result = run(*verb, word, "--data", str(fresh_data))
        assert result.exit_code == 1
        assert said in result.stderr
        assert "Traceback" not in result.output


def test_a_job_of_a_server_is_of_a_name_whatever_folder_is_there(hostile_folder, fresh_data, tmp_path, monkeypatch):
    shutil.copytree(hostile_folder, tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    words = ["precompute", "tiny", "--matrices", "L0/mlp-in", "--data", str(fresh_data)]
    assert "'tiny' already names other weights" in run(*words).stderr
    assert run(*words, "--job", "0" * 32).stdout.startswith("1 matrix computed")
    gone = run("precompute", "gone", "--data", str(fresh_data), "--job", "0" * 32)
    assert (gone.exit_code, "'gone' are missing or damaged" in gone.stderr) == (1, True)


@pytest.mark.parametrize("channel", ["0", "99", "-1"])
def test_a_worker_that_nobody_left_a_socket_says_what_it_is(channel, tmp_path):
    words = [
        "worker",
        "--channel",
        channel,
        "--parent",
        "1",
        "--data",
        str(tmp_path),
        "--device",
        "cpu",
        "--quota",
        "1",
    ]
    answer = subprocess.run(
        [sys.executable, "-m", "app", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 1
    assert answer.stderr.startswith("singular-lens: this is what serve starts")
    assert "Traceback" not in answer.stderr


def test_serve_says_how_many_files_must_be_allowed(monkeypatch, tmp_path):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (24, 24))
    result = run("serve", "--port", "0", "--data", str(tmp_path))
    assert result.exit_code == 1
    assert "ulimit -n" in result.output


def test_serve_refuses_a_gpu_that_is_not_there(tmp_path):
    result = run("serve", "--device", "cuda:63", "--data", str(tmp_path))
    assert result.exit_code == 1
    assert "cuda:63 is not here" in result.output


def test_serve_refuses_a_data_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    result = run("serve", "--data", str(tmp_path / "file"), "--port", "0")
    assert result.exit_code == 1
    assert f"cannot keep weights in {tmp_path / 'file'}" in result.output
    assert "Traceback" not in result.output


def test_the_present_folder_is_a_folder(served, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("serve", "--data", ".").exit_code == 0
    assert served[0].data.resolve() == tmp_path


def test_import_keeps_the_weights_where_the_environment_says(gpt2_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("SINGULAR_LENS_DATA", str(tmp_path))
    assert run("import", str(gpt2_folder), "--name", "small").exit_code == 0
    assert (tmp_path / "models" / "small.json").is_file()


def test_import_refuses_what_is_no_model(tmp_path):
    (tmp_path / "empty").mkdir()
    result = run("import", str(tmp_path / "empty"), "--data", str(tmp_path / "data"))
    assert result.exit_code == 1
    assert "\nsingular-lens: there is no config.json" in result.output
    assert "Traceback" not in result.output


EVIL = "evil \x1b]0;owned\x07\x1b[31m\u202e\n"
SPELT = r"evil \x1b]0;owned\x07\x1b[31m\u202e\n"


def test_no_name_does_anything_to_the_terminal(gpt2_folder, fresh_data, tmp_path):
    catalog = Catalog(fresh_data)
    manifest = catalog.get("tiny")
    write_manifest(catalog.weights_folder(manifest.fingerprint), replace(manifest, name=EVIL))
    folder = shutil.copytree(gpt2_folder, tmp_path / EVIL)
    result = run("import", str(folder), "--name", "tiny", "--data", str(fresh_data))
    assert (result.exit_code, result.stdout.partition(":")[0]) == (0, SPELT.partition(":")[0])
    (tmp_path / "data" / EVIL).touch()
    result = run("import", str(folder), "--data", str(tmp_path / "data" / EVIL))
    assert f"/{SPELT}: " in result.stderr
    assert all(line.isprintable() for line in result.output.split("\n"))
    (fresh_data / "models" / f"{EVIL}.json").touch()
    assert f"damaged: models/{SPELT}.json" in run("store", "verify", "--data", str(fresh_data)).stdout


@contextmanager
def about_to_listen(monkeypatch, data, model):
    """The server as `serve` sets it up, instead of one that never ends; the log is then as it was."""
    seen = []
    root, *others = (logging.getLogger(name) for name in (None, "uvicorn", "uvicorn.error", "uvicorn.access"))
    with monkeypatch.context() as patch:
        patch.setattr(wire.Listener, "run", lambda self, sockets: seen.append((self, sockets[0].close())))
        for each in (root, *others):
            for name, value in (("handlers", []), ("level", each.level), ("propagate", each.propagate)):
                patch.setattr(each, name, value)
        command.run_server(Settings(models=(model,), data=data, port=0, allowed_hosts="testserver"))
        yield seen[0][0]


def test_what_the_server_says_itself_is_a_plain_line_too(monkeypatch, fresh_data, capsys):
    with about_to_listen(monkeypatch, fresh_data, "tiny"):
        for name in ("uvicorn.error", "app"):
            logging.getLogger(name).error("Exception for %s\n", EVIL.strip())
    said = [line for line in capsys.readouterr().err.splitlines() if "Exception" in line]
    assert said == [rf"Exception for {SPELT.removesuffix(chr(92) + 'n')}"] * 2


def test_a_folder_is_compared_once_for_a_start(monkeypatch, gpt2_folder, fresh_data):
    asked = []
    usual = naming.name_models
    for owner in (naming, resources):
        monkeypatch.setattr(owner, "name_models", lambda *words: asked.append(words[1]) or usual(*words))
    with (
        about_to_listen(monkeypatch, fresh_data, str(gpt2_folder)) as server,
        TestClient(server.config.app) as client,
    ):
        assert client.app.state.resources.slugs == ("tiny",)
    assert asked == [(str(gpt2_folder),)]


def test_import_refuses_a_data_folder_that_is_a_file(gpt2_folder, tmp_path):
    (tmp_path / "file").touch()
    result = run("import", str(gpt2_folder), "--data", str(tmp_path / "file"))
    assert result.exit_code == 1
    assert f"cannot keep weights in {tmp_path / 'file'}" in result.output


def test_import_leaves_the_signals_as_they_were(tmp_path):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    run("import", str(tmp_path), "--data", str(tmp_path / "data"))
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_import_notes_how_far_it_is_on_a_page(gpt2_folder, tmp_path):
    result = run("import", str(gpt2_folder), "--name", "small", "--data", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert "[2/2] checking and writing its layers" in result.stderr
    (job,) = JobStore(tmp_path / "jobs").all()
    assert (job.task, job.slug, job.state) == (None, "small", "done")
    assert job.done == job.total > 0
    assert str(gpt2_folder) not in (tmp_path / "jobs" / f"{job.id}.json").read_text()


def test_import_for_a_server_says_only_on_its_page_how_far_it_is(gpt2_folder, tmp_path):
    store = JobStore(tmp_path / "jobs")
    job = store.new_import("small")
    with store.hold_job(job.id):
        store.write(job)
        result = run("import", "--job", job.id, "--name", "small", "--data", str(tmp_path), "--", str(gpt2_folder))
    assert (result.exit_code, result.stderr) == (0, "")
    assert [(one.id, one.state) for one in store.all()] == [(job.id, "done")]


def test_import_that_is_refused_says_so_on_its_page(tmp_path):
    (tmp_path / "empty").mkdir()
    result = run("import", str(tmp_path / "empty"), "--name", "small", "--data", str(tmp_path / "data"))
    assert result.exit_code == 1
    (job,) = JobStore(tmp_path / "data" / "jobs").all()
    assert (job.state, f"singular-lens: {job.message}") == ("failed", result.stderr.splitlines()[-1])


def test_import_that_is_cancelled_on_its_page_stops_there(gpt2_folder, tmp_path, monkeypatch):
    store = JobStore(tmp_path / "jobs")
    monkeypatch.setattr(JobStore, "is_cancelled", lambda self, id_: (store.get(id_) or store.new_import("x")).done > 0)
    result = run("import", str(gpt2_folder), "--name", "small", "--data", str(tmp_path))
    assert result.exit_code == 1
    assert "cancelled on its page" in result.stderr
    assert [job.state for job in store.all()] == ["cancelled"]
    monkeypatch.undo()
    assert run("import", str(gpt2_folder), "--name", "small", "--data", str(tmp_path)).exit_code == 0


@pytest.mark.parametrize("name", ["../evil", "api", "A b", ""])
def test_import_under_no_name_notes_nothing(gpt2_folder, tmp_path, name):
    result = run("import", str(gpt2_folder), "--name", name, "--data", str(tmp_path))
    assert result.exit_code == 1
    assert JobStore(tmp_path / "jobs").is_empty()


def test_precompute_imports_what_is_missing_and_computes_every_head(gpt2_folder, tmp_path):
    words = ["precompute", str(gpt2_folder), "--matrices", "ov,qk", "--data", str(tmp_path), "--device", "cpu"]
    first = run(*words)
    assert first.exit_code == 0, first.output
    assert re.fullmatch(
        r"16 matrices computed, 0 found: [\d.]+ s computing, [\d.]+ s writing; [\d.]+% of the rays settled the slower way",
        first.stdout.splitlines()[-1],
    )
    assert "100%" in first.stderr
    assert run(*words).stdout.startswith("0 matrices computed, 16 found: ")
    again, done, brought = JobStore(tmp_path / "jobs").all()
    assert {brought.state, done.state, again.state} == {"done"}
    assert brought.task is None
    assert [job.matrices_done for job in (done, again)] == [16, 0]


def test_precompute_lets_what_a_visitor_waits_for_go_first(fresh_data, monkeypatch):
    words = ["precompute", "tiny", "--matrices", "L0/mlp-in", "--device", "cpu", "--data", str(fresh_data)]
    computed_at = []

    def is_taken(data, device):
        assert (data, device) == (fresh_data, "cpu")
        computed_at.append(len(list((fresh_data / "artifacts").rglob("*.safetensors"))))
        return len(computed_at) < 5

    with monkeypatch.context() as patch:
        patch.setattr(turns, "is_taken", is_taken)
        assert run(*words).exit_code == 0
    assert computed_at[:5] == [0] * 5  # it stood back before its first step
    assert len(computed_at) > 6  # and looked between any two
    monkeypatch.setattr(turns, "LONGEST_WAIT_SECONDS", 0.01)
    with turns.claim_turn(fresh_data, "cpu"):  # a crowd does not stop it
        assert run(*words, "--weights", "raw").exit_code == 0


def test_precompute_takes_matrices_weights_and_a_basis(fresh_data):
    words = ["precompute", "tiny", "--data", str(fresh_data)]
    assert run(*words, "--matrices", "qk").stdout.startswith("8 matrices computed, 0 found")
    assert run(*words, "--matrices", "ov,qk", "--weights", "raw,folded").stdout.startswith(
        "24 matrices computed, 8 found"
    )
    every = 16 + 4 + 5  # OV and QK of 8 heads, in and out of 2 layers, both ends, positions and stacks
    assert run(*words).stdout.startswith(f"{every - 16} matrices computed, 16 found")
    fit = ["--basis", "nmf", "--components", "3", "--matrices", "embed,L1/mlp-in"]
    assert run(*words, *fit).stdout.startswith("2 matrices computed, 0 found")
    assert run(*words, *fit, "--seed", "1").stdout.startswith("2 matrices computed, 0 found")
    assert run(*words, *fit, "--seed", "0").stdout.startswith("0 matrices computed, 2 found")
    kept = [path.stat().st_mode for path in (fresh_data / "artifacts").rglob("*.safetensors")]
    assert kept
    assert not any(mode & WRITE_BITS for mode in kept), "no visit deletes what the operator asked for"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["tiny", "--matrices", "mlp"], "matrices are ov, qk, mlp-in, mlp-out, embed"),
        (["tiny", "--matrices", "L9/mlp-in"], "layers L0 to L1"),
        (["tiny", "--matrices", "ov", "--basis", "nmf"], "nmf is no basis of OV: that has svd, used, neuron"),
        (["tiny", "--basis", "fourier"], "basis must be one of svd, used, pca"),
        (["tiny", "--basis", "nmf", "--components", "1000"], "components goes from 2 to"),
        (["tiny", "--components", "10"], "components means nothing here: svd has no parameters"),
        (["tiny", "--weights", "cooked"], "weights must be one of folded, raw"),
        (["tiny", "--weights", ""], "weights must be one of folded, raw"),
        (["tiny", "--device", "abacus"], "device: "),
        (["tiny", "--device", "cuda:63"], "cuda:63 is not here"),
        (["./nowhere"], "nowhere"),
        ([""], "models: "),
    ],
)
def test_precompute_refuses_with_the_range_and_computes_nothing(fresh_data, words, named):
    result = run("precompute", *words, "--data", str(fresh_data))
    assert result.exit_code == 1
    assert named in result.output
    assert "Traceback" not in result.output
    assert list((fresh_data / "artifacts").rglob("*.safetensors")) == []


def test_precompute_refuses_what_would_push_itself_out(fresh_data, monkeypatch):
    monkeypatch.setenv("SINGULAR_LENS_QUOTA_GIB", "0.0001")
    result = run("precompute", "tiny", "--data", str(fresh_data))
    assert result.exit_code == 1
    assert "SINGULAR_LENS_QUOTA_GIB" in result.stderr
    assert "94.3 KiB are allowed" in result.stderr


def test_a_visitors_job_takes_nothing_from_what_the_operator_asked_for(fresh_data, monkeypatch):
    words = ["precompute", "tiny", "--data", str(fresh_data), "--matrices"]
    assert run(*words, "L0/mlp-in").exit_code == 0
    operators = set((fresh_data / "artifacts").rglob("*.safetensors"))
    assert run(*words, "L0/mlp-in,L1/mlp-in", "--job", "0" * 32).stdout.startswith("1 matrix computed, 1 found")
    paths = set((fresh_data / "artifacts").rglob("*.safetensors"))
    assert {path for path in paths if not path.stat().st_mode & WRITE_BITS} == operators < paths
    kept = sum(path.stat().st_size for path in operators)
    monkeypatch.setenv("SINGULAR_LENS_QUOTA_GIB", str((kept + ACCOUNT_BYTES + 5000) / 2**30))
    refused = run(*words, "L0/H0/ov,L0/H1/ov,L0/H2/ov,L1/mlp-in,embed", "--job", "0" * 32)
    assert (refused.exit_code, "4.9 KiB are allowed" in refused.stderr) == (1, True)


def test_precompute_refuses_a_disk_that_will_be_full(fresh_data, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9 - 4096, 4096))
    result = run("precompute", "tiny", "--data", str(fresh_data))
    assert result.exit_code == 1
    assert "has 4.0 KiB left" in result.stderr
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "nothing can be written" in run("precompute", "tiny", "--data", str(fresh_data)).stderr
    assert JobStore(fresh_data / "jobs").is_empty()


def test_precompute_says_that_the_disk_is_full(fresh_data, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ArtifactStore, "write", full)
    result = run("precompute", "tiny", "--data", str(fresh_data))
    assert result.exit_code == 1
    assert "singular-lens: What was computed cannot be kept: No space left on device." in result.stderr
    (job,) = JobStore(fresh_data / "jobs").all()
    assert (job.state, job.message) == ("failed", "What was computed cannot be kept: No space left on device.")


def test_precompute_says_that_memory_is_too_small_in_whoevers_words(fresh_data, monkeypatch):
    def full(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(precompute, "read_together", full)
    result = run("precompute", "tiny", "--matrices", "ov", "--data", str(fresh_data))
    assert result.exit_code == 1
    assert "not enough memory for this model; what was computed is kept" in result.stderr
    assert isinstance(result.exception, SystemExit)


def test_precompute_interrupted_says_so_and_goes_on_later(fresh_data):
    words = [sys.executable, "-m", "app", "precompute", "tiny", "--data", str(fresh_data)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        jobs = JobStore(fresh_data / "jobs")
        while process.poll() is None and jobs.is_empty():
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "")
    assert errors.splitlines()[-1] == "singular-lens: interrupted. Running the same command again continues"
    assert [job.state for job in jobs.all()] == ["interrupted"]
    assert run("precompute", "tiny", "--data", str(fresh_data)).exit_code == 0


def test_serve_listens_where_it_says(tmp_path):
    words = [sys.executable, "-m", "app", "serve", "--port", "0", "--data", str(tmp_path)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as server:
        try:
            line = server.stderr.readline()
            address = line.split()[1]
            with urllib.request.urlopen(address + "livez", timeout=10) as answer:
                assert answer.status == 200
        finally:
            server.terminate()
    assert line.startswith("singular-lens: http://127.0.0.1:")


def test_serve_says_that_the_port_is_taken(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        words = [sys.executable, "-m", "app", "serve", "--port", port, "--data", str(tmp_path)]
        result = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_command_does_not_import_what_takes_seconds():
    script = "import sys, app.__main__, app.server; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.strip() == "[]"


def test_store_verify_proves_everything(tiny_data, tmp_path):
    data = shutil.copytree(tiny_data, tmp_path / "data")
    result = run("store", "verify", "--data", str(data))
    assert result.exit_code == 0, result.output
    assert "all as they were written" in result.stdout
    assert "100%" in result.stderr
    layer = next((data / "weights").rglob("layer-000.safetensors"))
    layer.write_bytes(layer.read_bytes()[:-1])
    result = run("store", "verify", "--data", str(data))
    assert result.exit_code == 1
    (damaged, summary) = result.stdout.splitlines()
    assert "layer-000.safetensors" in damaged
    assert "import the model again" in damaged
    assert summary.endswith("1 damaged")


def test_store_verify_says_what_an_upgrade_makes_of_the_weights_and_an_import_does_it(gpt2_folder, fresh_data):
    manifest = next((fresh_data / "weights").glob("*/manifest.json"))
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 1}))
    result = run("store", "verify", "--data", str(fresh_data))
    assert result.exit_code == 0, result.output
    (older, summary) = result.stdout.splitlines()
    assert older.startswith(
        f"of another version: weights/{manifest.parent.name}: weights in format 1, and this version reads"
    )
    assert summary.endswith("all as they were written")
    assert run("import", str(gpt2_folder), "--data", str(fresh_data)).exit_code == 0
    assert "another version" not in run("store", "verify", "--data", str(fresh_data)).stdout


def test_store_gc_says_what_it_removed_and_what_it_left(tiny_data, tmp_path):
    data = shutil.copytree(tiny_data, tmp_path / "data")
    (data / "models" / "tiny.json").unlink()
    (data / "artifacts").mkdir(exist_ok=True)
    (data / "artifacts" / ".x.tmp").write_bytes(bytes(2048))
    with mark_in_use(data):
        result = run("store", "gc", "--data", str(data))
    assert result.exit_code == 0, result.output
    kept, removed, freed = result.stdout.splitlines()
    assert kept.startswith("kept: weights/")
    assert removed == "removed: unfinished files: 1, 2.0 KiB"
    assert freed == "2.0 KiB freed"
    assert "weights without a name: 1" in run("store", "gc", "--data", str(data)).stdout
    assert run("store", "gc", "--data", str(data)).stdout == "0 bytes freed\n"


def test_store_gc_stops_with_a_sentence_at_what_it_cannot_remove(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / ".in-use").mkdir()
    result = run("store", "gc", "--data", str(tmp_path))
    assert result.exit_code == 1
    assert "could not be removed (Is a directory)" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("verb", ["verify", "gc"])
def test_a_mistyped_data_folder_is_not_called_healthy(tmp_path, verb):
    (tmp_path / "file").touch()
    for name in ("nowhere", "file"):
        result = CliRunner().invoke(command.cli, ["store", verb, "--data", str(tmp_path / name)])
        assert result.exit_code == 1
        assert "there is no data folder at" in result.output


def test_a_public_server_is_refused_what_it_never_does(served, fresh_data):
    result = run("serve", "tiny", "--data", str(fresh_data), "--public", "--allow-jobs", "--prompts", "local")
    assert result.exit_code == 1
    assert (
        "SINGULAR_LENS_ALLOW_JOBS and SINGULAR_LENS_PROMPTS cannot be set beside SINGULAR_LENS_PUBLIC" in result.stderr
    )
    assert "Traceback" not in result.output
    assert served == []
    assert run("serve", "tiny", "--data", str(fresh_data), "--public", "--status", "off").exit_code == 0
    assert [(settings.public, settings.status) for settings in served] == [(True, "off")]
