"""An experiment: a change that is tried on many prompts, as a visitor makes it and as a program reads it."""

import csv
import io
import json
import math
import re
import shutil
import threading
import time
from html import unescape

import numpy as np
import pytest

from app.explorer.errors import ComputationFailed
from app.explorer.making.using import changes
from app.explorer.running import batches
from tests.answers import ask, check_answer

ORIGIN = {"Origin": "http://testserver"}
LINES = ["that in the sea", "so it is", "and then it", "in the", "so that it", "it is in", "the sea"]
GONE = "L1H2.ov.3:-1"


@pytest.fixture(scope="module")
def reader(serve, tiny_data, tmp_path_factory):
    """A visitor of a server that runs prompts."""
    data = shutil.copytree(tiny_data, tmp_path_factory.mktemp("experiments") / "data")
    return serve(data, "tiny", prompts="public", wait_seconds=30)


def make(reader, **fields):
    return reader.post("/tiny/x", data={"prompts": "\n".join(LINES), "edit": GONE} | fields, headers=ORIGIN)


def read(reader, **fields):
    made = make(reader, **fields)
    assert made.status_code == 303, made.text[:300]
    place = made.headers["location"]
    answer = ask(reader, f"/api/v1{place}")
    assert answer.status_code == 200, answer.text[:300]
    return place, check_answer("experiment", answer.json())


def words_of(html):
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


ENDS = "L1H2.ov.3p:-1"


def test_each_prompt_says_what_its_own_page_says(reader, monkeypatch):
    monkeypatch.setattr(batches, "AT_ONCE", 3)
    place, found = read(reader, random="8")
    assert re.fullmatch(r"/tiny/x/[0-9a-f]{16}", place)
    assert ["".join(token["token"] for token in trial["tokens"]) for trial in found["trials"]] == LINES
    assert found["change"] == {"edit": ENDS}
    for trial in found["trials"]:
        own = ask(reader, f"/api/v1/tiny/p/{trial['key']}/edit", params={"edit": ENDS, "random": 8}).json()
        assert trial["divergence"] == pytest.approx(own["divergence"], rel=1e-4, abs=1e-9)
        assert trial["random"] == pytest.approx(own["random"], rel=1e-4, abs=1e-9)
        edit = own["edits"][0]
        assert trial["measured_before"] == pytest.approx(edit["before"], rel=1e-4)
        assert trial["measured_after"] == pytest.approx(edit["after"], rel=1e-4)
        assert trial["factor"] == pytest.approx(edit["after"] / edit["before"], rel=1e-4)
        assert trial["energy"] == pytest.approx(own["energy"])
        assert trial["random_energy"] == pytest.approx(own["random_energy"])
        assert trial["before"]["id"] == max(own["next"], key=lambda token: token["before"])["id"]
        assert trial["after"]["id"] == max(own["next"], key=lambda token: token["after"])["id"]
        assert [token["id"] for token in found["own"]][:6] == [token["id"] for token in edit["tokens"]]
    assert [(one["address"], one["ray"], one["how"]) for one in found["directions"]] == [
        ("tiny/L1/H2/ov/svd/3", "p", "-1")
    ]
    assert (found["layer"], found["size"]) == (None, None)


def test_means_and_intervals_are_those_of_the_trials(reader):
    _, found = read(reader, random="8")
    trials = found["trials"]
    values = [trial["divergence"] for trial in trials]
    assert found["divergence"]["value"] == pytest.approx(np.mean(values))
    assert found["random"] == pytest.approx(np.mean([trial["random"] for trial in trials], axis=0).tolist())
    assert found["log_factor"]["value"] == pytest.approx(np.mean([math.log(trial["factor"]) for trial in trials]))
    logs = np.log([trial["random_factors"] for trial in trials])
    assert found["random_log_factor"] == pytest.approx(logs.mean(axis=0).tolist())
    assert found["random_raised"] == (logs > 0).sum(axis=0).tolist()
    assert found["measured_after"] == pytest.approx(np.mean([trial["measured_after"] for trial in trials]))
    assert found["energy"] == pytest.approx(np.mean([trial["energy"] for trial in trials]))
    assert found["random_energy"] == pytest.approx(np.mean([trial["random_energy"] for trial in trials]))
    assert found["divergence"]["low"] < found["divergence"]["value"] < found["divergence"]["high"]
    # The interval of a mean: some two standard errors to either side.
    error = np.std(values, ddof=1) / len(values) ** 0.5
    assert 1.5 * error < found["divergence"]["high"] - found["divergence"]["low"] < 8 * error
    assert found["n_beyond"] == sum(trial["divergence"] > max(trial["random"]) for trial in trials)
    assert found["n_turned"] == sum(trial["before"]["id"] != trial["after"]["id"] for trial in trials)
    assert found["n_raised"] == sum(trial["factor"] > 1 for trial in trials)


def test_few_prompts_have_no_interval(reader):
    place, found = read(reader, prompts="so it is\nin the")
    assert found["divergence"]["low"] is None
    assert "95% interval" not in words_of(reader.get(place).text)


def test_the_same_experiment_has_the_same_key(reader):
    one, other = (make(reader).headers["location"] for _ in range(2))
    assert one == other
    assert make(reader, edit="L1H2.ov.3:-0.5").headers["location"] != one
    # Blank lines and repeated prompts are none.
    again = make(reader, prompts="\n\n".join([*LINES, LINES[0], " "])).headers["location"]
    assert again == one


def test_a_push_is_tried_as_well(reader):
    place, found = read(reader, edit="", of="L0H2.ov.1p", c="0.5")
    assert found["change"] == {"of": "L0H2.ov.1p", "layer": "", "c": "0.5"}
    assert (found["layer"], found["directions"][0]["how"]) == (1, "")
    trial = found["trials"][0]
    own = ask(reader, f"/api/v1/tiny/p/{trial['key']}/steer", params={"of": "L0H2.ov.1p", "c": 0.5}).json()
    assert trial["divergence"] == pytest.approx(own["divergence"], rel=1e-4)
    link = unescape(re.search(r'href="(/tiny/p/[0-9a-f]{16}/steer[^"]+)"', reader.get(place).text)[1])
    assert reader.get(link).status_code == 200


BETWEEN = {
    "edit": "",
    "attract": "in the sea so it is",
    "repel": "that his and she",
    "layer": "1",
    "rule": "last",
    "pull": "2",
}


def test_two_texts_are_tried_as_well(reader):
    place, found = read(reader, **BETWEEN, random="8")
    change = found["change"]
    assert (change["layer"], change["rule"], change["pull"]) == ("1", "last", "2")
    assert re.fullmatch("[0-9a-f]{16}", change["attract"])
    assert len(found["odds"]) == 2
    for trial in found["trials"]:
        own = ask(reader, f"/api/v1/tiny/p/{trial['key']}/sara", params=change | {"random": 8}).json()
        odds = own["odds"]
        assert trial["divergence"] == pytest.approx(own["divergence"], rel=1e-4)
        assert math.log(trial["factor"]) == pytest.approx(odds["after"] - odds["before"], abs=1e-4)
        assert math.log(trial["swapped_factor"]) == pytest.approx(odds["swapped"] - odds["before"], abs=1e-4)
        gained = [value - odds["before"] for value in odds["random"]]
        assert [math.log(factor) for factor in trial["random_factors"]] == pytest.approx(gained, abs=1e-4)
    swapped = [math.log(trial["swapped_factor"]) for trial in found["trials"]]
    assert found["swapped_log_factor"]["value"] == pytest.approx(np.mean(swapped))
    assert found["n_swapped_raised"] == sum(value > 0 for value in swapped)
    assert (found["own"], found["layer"], found["energy"]) == ([], 1, None)
    page = reader.get(place).text
    assert "with roles swapped" in words_of(page)
    link = unescape(re.search(r'href="(/tiny/p/[0-9a-f]{16}/sara[^"]+)"', page)[1])
    shown = reader.get(link)
    assert shown.status_code == 200
    form = unescape(re.search(r'href="(/tiny/x\?[^"]+)"', shown.text)[1])
    filled = reader.get(form).text
    assert "in the sea so it is</textarea>" in filled
    assert '<option value="last" selected>' in filled
    rows = [*csv.DictReader(io.StringIO(reader.get(f"{place}?format=csv").text))]
    assert [float(row["swapped_factor"]) for row in rows] == pytest.approx([math.exp(value) for value in swapped])
    # Keys say the same as the texts.
    again = make(reader, **BETWEEN | {"attract": change["attract"], "repel": change["repel"]}, random="8")
    assert again.headers["location"] == place


def test_the_page_its_file_and_its_links(reader):
    place, found = read(reader)
    page = reader.get(place)
    assert page.headers["cache-control"] == "private, no-store"
    said = words_of(page.text)
    assert f"{ENDS} on {len(LINES)} prompts, folded weights" in said
    assert f"Behind {found['n_beyond']} it changes more" in said
    assert "Followed are the twenty tokens that lead at the + end of L1H2 OV 3" in said
    rows = [*csv.DictReader(io.StringIO(reader.get(f"{place}?format=csv").text))]
    assert [json.loads(row["text"]) for row in rows] == LINES
    for row, trial in zip(rows, found["trials"], strict=True):
        assert float(row["kl"]) == pytest.approx(trial["divergence"])
        assert [float(row[f"random_factor_{n}"]) for n in range(found["draws"])] == pytest.approx(
            trial["random_factors"]
        )
        assert float(row["after_chance"]) == pytest.approx(trial["after"]["chance"])
    link = unescape(re.search(r'href="(/tiny/p/[0-9a-f]{16}/edit[^"]+)"', page.text)[1])
    assert reader.get(link).status_code == 200
    pinned = re.search(r'id="link" value="http://testserver([^"]+)"', page.text)[1]
    assert "@" in pinned
    assert reader.get(pinned).status_code == 200
    edited = reader.get(f"/tiny/p/{found['trials'][1]['key']}/edit", params={"edit": GONE}).text
    form = reader.get(unescape(re.search(r'href="(/tiny/x\?[^"]+)"', edited)[1])).text
    assert re.search(r'value="L1H2\.ov\.3[pn]:-1"', form)
    assert f">\n{LINES[1]}" in form, "the prompt that one comes from is the first"


def test_it_is_changed_and_deleted(reader):
    place, found = read(reader, edit="L0H2.ov.1n:2", prompts="in the sea\nso it is")
    form = unescape(re.search(r'href="(/tiny/x\?like=[^"]+)"', reader.get(place).text)[1])
    filled = reader.get(form).text
    assert 'value="L0H2.ov.1n:2"' in filled
    assert ">\nin the sea\nso it is</textarea>" in filled
    assert reader.post(f"{place}/delete", headers={"Origin": "http://elsewhere"}).status_code == 403
    assert reader.post(f"{place}/delete", headers=ORIGIN).headers["location"] == "/tiny/x"
    for path in (place, f"/api/v1{place}", f"{place}/script"):
        assert reader.get(path).status_code == 404
    assert reader.get(f"/tiny/p/{found['trials'][0]['key']}").status_code == 200
    assert reader.get(f"/tiny/x?like={place[-16:]}").status_code == 200


def test_a_deleted_text_that_attracts_is_named(reader):
    place, found = read(reader, **BETWEEN | {"attract": "they that she was"})
    reader.post(f"/tiny/p/{found['change']['attract']}/delete", headers=ORIGIN)
    for path in (place, f"/api/v1{place}", f"{place}/script", f"{place}?format=csv"):
        answer = reader.get(path)
        assert answer.status_code == 404
        assert "The text that attracts in this experiment was deleted" in answer.text


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"prompts": " \n"}, 422, "Write 1 to 200 prompts"),
        ({"prompts": "so it is\n" * 201}, 422, "these are 201"),
        ({"prompts": "so it is\n" + "x" * 40}, 422, "Line 2: This is 40 tokens"),
        ({"edit": ""}, 422, "one of these"),
        ({"of": "L0H2.ov.1p"}, 422, "Edits and a direction to push along are filled in"),
        ({"edit": "L1H2.qk.3:-1"}, 422, "writes nothing"),
        ({"edit": "L9H2.ov.3:-1"}, 404, "L0 to L1"),
        ({"edit": "L1H2.ov.3:mean"}, 422, "singular-lens statistics tiny"),
        ({"edit": "", "of": "L0H2.ov.1p", "c": "9"}, 422, "c goes from -5 to 5"),
        ({"edit": "", "of": "L0H2.ov.1p", "c": "much"}, 422, "c goes from -5 to 5"),
        ({"edit": "", "of": "L0H2.ov.1p", "layer": "7"}, 422, "layer goes from 0 to 1"),
        ({"edit": "", "of": "L0H2.ov.1p", "layer": "-1"}, 422, "layer goes from 0 to 1"),
        ({"attract": "in the", "repel": "so it"}, 422, "one of these"),
        ({"edit": "", "attract": "in the sea"}, 422, "Write what repels, too"),
        ({"edit": "", "repel": "in the sea"}, 422, "Write what attracts, too"),
        ({"weights": "other"}, 422, "weights is one of folded, raw"),
        ({"random": "7"}, 422, "random is 1 or 8"),
        (BETWEEN | {"repel": BETWEEN["attract"]}, 422, "the same prompt"),
        (BETWEEN | {"attract": "t"}, 422, "two tokens at least"),
        (BETWEEN | {"attract": "x" * 90}, 422, "attract: This is 90 tokens"),
        (BETWEEN | {"attract": "0123456789abcdef"}, 422, "attract is the key of a prompt, which is not here"),
        (BETWEEN | {"rule": "best"}, 422, "rule is one of fixed, published, last, front"),
        (BETWEEN | {"pull": "nan"}, 422, "c goes from -5 to 5"),
        (BETWEEN | {"layer": "2"}, 422, "layer goes from 0 to 1"),
        (BETWEEN | {"token": "t", "against": "t"}, 422, "two tokens"),
    ],
)
def test_what_means_nothing_stays_in_its_box_with_what_would_do(reader, fields, status, words):
    answer = make(reader, **fields)
    assert answer.status_code == status
    assert words in words_of(answer.text)
    typed = fields.get("edit") or fields.get("of")
    if typed:
        assert f'value="{typed}"' in answer.text


def test_steering_needs_two_tokens_in_each_line(reader):
    answer = make(reader, edit="", of="L0H2.ov.1p", prompts="so it is\nt")
    assert answer.status_code == 422
    assert "Line 2" in words_of(answer.text)


class Held:
    """A live process that waits before the prompt of that number is run."""

    def __init__(self, monkeypatch, number):
        self.go_on, self.waits, self._number, self._seen = threading.Event(), threading.Event(), number, 0
        run = changes.read_outcome

        def wait_and_run(*given):
            self._seen += 1
            if self._seen == self._number:
                self.waits.set()
                assert self.go_on.wait(60)
            return run(*given)

        monkeypatch.setattr(changes, "read_outcome", wait_and_run)


def test_it_goes_on_while_nobody_looks_and_the_page_grows(reader, monkeypatch):
    held = Held(monkeypatch, 5)
    monkeypatch.setattr(batches, "AT_ONCE", 2)
    place = make(reader, edit="L1H1.ov.2:-1").headers["location"]
    page = reader.get(place)
    assert page.status_code == 200
    assert held.waits.wait(60)
    page = reader.get(place)
    assert "4 of 7 prompts are run" in words_of(page.text)
    assert f"on {len(re.findall('/p/[0-9a-f]{16}/edit', page.text))} prompts" in words_of(page.text)
    assert 'http-equiv="refresh"' in page.text
    held.go_on.set()
    r = reader.app.state.resources
    deadline = time.monotonic() + 60
    while r.prompts.batches.find((r.library.model("tiny").fingerprint, place[-16:])) and time.monotonic() < deadline:
        time.sleep(0.05)  # nobody asks for it meanwhile
    found = check_answer("experiment", ask(reader, f"/api/v1{place}").json())
    assert (len(found["trials"]), found["n_left"]) == (7, 0)
    assert "prompts are run" not in words_of(reader.get(place).text)


def test_it_is_stopped_and_goes_on_where_it_was(reader, monkeypatch):
    held = Held(monkeypatch, 4)
    monkeypatch.setattr(batches, "AT_ONCE", 2)
    place = make(reader, edit="L1H1.ov.3:-1").headers["location"]
    reader.get(place)
    assert held.waits.wait(60)
    assert reader.post(f"{place}/stop", headers=ORIGIN).headers["location"] == place
    held.go_on.set()
    page = words_of(reader.get(place).text)
    assert re.search("[345] of 7 prompts were not run: it was stopped", page)
    found = check_answer("experiment", ask(reader, f"/api/v1{place}").json())
    assert found["n_left"] == 7 - len(found["trials"]) > 0
    assert reader.post(f"{place}/resume", headers=ORIGIN).headers["location"] == place
    assert check_answer("experiment", ask(reader, f"/api/v1{place}").json())["n_left"] == 0
    for verb in ("stop", "resume"):
        assert reader.post(f"{place}/{verb}", headers={"Origin": "http://elsewhere"}).status_code == 403
        assert reader.post(f"/tiny/x/0123456789abcdef/{verb}", headers=ORIGIN).status_code == 404


def test_what_waits_for_its_turn_shows_what_is_there_and_begins_by_itself(reader, monkeypatch):
    held = Held(monkeypatch, 4)
    monkeypatch.setattr(batches, "AT_ONCE", 2)
    place = make(reader, edit="L1H0.ov.3:-1").headers["location"]
    reader.get(place)
    assert held.waits.wait(60)
    reader.post(f"{place}/stop", headers=ORIGIN)
    held.go_on.set()
    with monkeypatch.context() as full:
        full.setattr(batches, "MOST_OF_A_VISITOR", 0)
        other = make(reader, edit="L1H0.ov.2:-1").headers["location"]
        waiting = reader.get(other)
        assert waiting.status_code == 202
        assert "It waits for its turn" in words_of(waiting.text)
        reader.post(f"{place}/resume", headers=ORIGIN)
        page = reader.get(place)
        assert page.status_code == 200
        assert re.search("[34] of 7 prompts are run", words_of(page.text))
        assert reader.get(f"/api/v1{place}").status_code == 202
    for path in (place, other):
        assert len(ask(reader, f"/api/v1{path}").json()["trials"]) == 7


def test_a_prompt_that_cannot_be_run_is_told_and_tried_again(reader, monkeypatch):
    run, broken = changes.read_outcome, []

    def fail_once(*given):
        if not broken:
            broken.append(True)
            raise ComputationFailed("The moon was in the way.")
        return run(*given)

    monkeypatch.setattr(changes, "read_outcome", fail_once)
    place = make(reader, edit="L1H1.ov.1:-1").headers["location"]
    found = ask(reader, f"/api/v1{place}").json()
    assert (found["n_left"], found["failure"]) == (1, "The moon was in the way.")
    assert "1 of 7 prompts were not run: The moon was in the way." in words_of(reader.get(place).text)
    reader.app.state.resources.prompts.queue._failures.clear()  # as if long ago
    reader.post(f"{place}/resume", headers=ORIGIN)
    assert ask(reader, f"/api/v1{place}").json()["n_left"] == 0


def test_others_are_not_here_and_deleted_prompts_are_said(reader):
    for path in ("/tiny/x/0123456789abcdef", "/api/v1/tiny/x/0123456789abcdef", "/tiny/x/x"):
        assert reader.get(path).status_code == 404
    place, found = read(reader, prompts="so it is\nin the sea that\nand it is")
    gone = found["trials"][1]["key"]
    reader.post(f"/tiny/p/{gone}/delete", headers=ORIGIN)
    left = ask(reader, f"/api/v1{place}").json()
    assert (left["n_missing"], len(left["trials"])) == (1, 2)
    assert "1 prompt of it was deleted" in words_of(reader.get(place).text)
    assert reader.post("/tiny/x", data={"prompts": "a"}, headers={"Origin": "http://elsewhere"}).status_code == 403


def test_a_program_makes_the_same_experiment_and_is_told_what_is_wrong_with_it(reader):
    fields = {"prompts": "\n".join(LINES), "edit": GONE}
    made = reader.post("/api/v1/tiny/x", data=fields, headers=ORIGIN)
    assert (made.status_code, made.headers["location"]) == (303, f"/api/v1{make(reader).headers['location']}")
    assert "no-store" in made.headers["Cache-Control"]
    refused = reader.post("/api/v1/tiny/x", data=fields | {"edit": "L1"}, headers=ORIGIN)
    assert (refused.status_code, refused.json()["error"]) == (422, "bad_option")
    assert reader.post("/api/v1/tiny/x", data=fields).status_code == 403  # a browser that hides its page looks the same
