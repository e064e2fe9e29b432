"""Prompts as a visitor meets them: typed, run, shared, deleted, refused; and nobody else's business."""

import json
import re
import shutil
from html import unescape
from urllib.parse import unquote

import pytest
import torch

from app.core.steps import run
from app.explorer import recipes
from app.explorer.making.make import MakerInputs, run_maker
from app.explorer.making.tables import Tables
from app.models.live.assembly import assemble_model
from app.models.live.forward import run_model
from tests.answers import check_answer
from tests.explorer.banks import build_bank

ORIGIN = {"Origin": "http://testserver"}
TEXT = "that in the sea"


@pytest.fixture(scope="module")
def prompter(serve, tiny_data, tmp_path_factory):
    """A visitor of a server that runs prompts, with the model's bank and statistics."""
    client = serve(shutil.copytree(tiny_data, tmp_path_factory.mktemp("prompts") / "data"), "tiny", prompts="public")
    r = client.app.state.resources
    build_bank(r, kinds=("bank", "moments", "shadow"))
    model = r.library.model("tiny")
    r.store.write(
        recipes.use(model, "folded"),
        *run(run_maker(recipes.use(model, "folded"), MakerInputs(Tables("cpu"), model, r.store))),
    )
    return client


def ask(client, slug="tiny", **fields):
    return client.post(f"/{slug}/prompt", data=fields, headers=ORIGIN)


@pytest.fixture(scope="module")
def place(prompter):
    answer = ask(prompter, text=TEXT)
    assert answer.status_code == 303
    return answer.headers["location"]


def words_of(html):
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def test_what_is_typed_leads_to_a_page_that_does_not_spell_it(prompter, place):
    assert re.fullmatch(r"/tiny/p/[0-9a-f]{16}", place)
    assert ask(prompter, text=TEXT).headers["location"] == place
    page = prompter.get(place)
    assert page.status_code == 200
    tokens = re.findall(r'title="position (\d+) · id (\d+)', page.text)
    model = prompter.app.state.resources.library.model("tiny")
    assert [int(id_) for _, id_ in tokens] == model.tokenize_whole(TEXT)
    assert 'class="start"' in page.text


def test_the_numbers_are_the_networks(prompter, place):
    found = check_answer("prompt", prompter.get(f"/api/v1{place}?totals=1").json())
    r = prompter.app.state.resources
    model = r.library.model("tiny")
    ids = torch.tensor([one["id"] for one in found["tokens"]])
    logits = run_model(assemble_model(model.weights(), model.manifest), ids).logits[-1].double()
    chances = logits.softmax(-1)
    assert found["asked"]["id"] == int(logits.argmax())
    assert found["asked"]["chance"] == pytest.approx(float(chances.max()), rel=1e-4)
    parts = found["parts"]
    assert parts["logit"] == pytest.approx(float(logits.max() - logits.mean()), abs=5e-4)
    assert parts["logit"] == pytest.approx(
        sum(parts[name] for name in ("heads", "mlps", "embedding", "constant")), abs=1e-4
    )
    assert found["at"] == len(ids) - 1
    assert len(found["directions"]) == 10
    beyond = [abs(one["beyond"]) for one in found["directions"]]
    assert beyond == sorted(beyond, reverse=True)
    assert all(one["total"] is not None and len(one["random"]) == 1 for one in found["directions"])
    assert all(len(one["tokens"]) == 6 for one in found["directions"])
    assert found["statistics"]
    assert found["n_reference"] > 0


def test_each_tab_lists_its_own(prompter, place):
    heads = check_answer("prompt", prompter.get(f"/api/v1{place}?head=L1H2").json())
    assert heads["show"] == "head"
    assert {one["address"].rsplit("/", 1)[0] for one in heads["directions"]} == {"tiny/L1/H2/ov/svd"}
    assert len(heads["directions"]) == 8
    writes = prompter.get(f"/api/v1{place}?show=writes").json()
    assert writes["show"] == "writes"
    neurons = check_answer("prompt", prompter.get(f"/api/v1{place}?show=neurons").json())
    assert not neurons["directions"]
    assert len(neurons["neurons"]) == 10
    assert neurons["neurons"][0]["address"].startswith("tiny/L")
    for query in (
        "",
        "?head=L1H2",
        "?show=writes",
        "?show=neurons",
        "?at=0",
        "?weights=raw",
        "?totals=8",
        "?head=L0H1&all=1",
    ):
        assert prompter.get(f"{place}{query}").status_code == 200, query


def test_another_token_and_one_against_it(prompter, place):
    found = prompter.get(f"/api/v1{place}?token=%23100&against=%23101").json()
    assert (found["asked"]["id"], found["against"]["id"]) == (100, 101)
    swapped = prompter.get(f"/api/v1{place}?token=%23101&against=%23100").json()
    assert found["parts"]["logit"] == pytest.approx(-swapped["parts"]["logit"], abs=1e-4)
    assert found["against"]["chance"] == pytest.approx(swapped["asked"]["chance"], rel=1e-4)


def test_a_direction_on_the_text_says_where_from(prompter, place):
    url = f"{place}/direction?of=L1H2.ov.3"
    found = check_answer("course", prompter.get(f"/api/v1{url}").json())
    assert found["address"] == "tiny/L1/H2/ov/svd/3"
    assert sum(one["brought"] for one in found["sources"]) == pytest.approx(
        found["tokens"][found["at"]]["attended"], abs=1e-4
    )
    assert found["at"] > 0
    assert found["tokens"][1]["z"] is not None
    page = prompter.get(url)
    assert page.status_code == 200
    assert "it arrives before that" in words_of(page.text)
    asked = ask(prompter, text=TEXT, of="L1H2.ov.3")
    assert asked.headers["location"] == f"{place}/direction?of=L1H2.ov.3"


def test_totals_come_into_the_rows_that_are_there(prompter, place):
    page = prompter.get(place).text
    (lazy,) = re.findall(r'id="totals" hx-get="([^"]+)"', page)
    fields = {"HX-Request": "true", "HX-Request-Type": "partial", "HX-Target": "p#totals"}
    part = prompter.get(unescape(lazy), headers=fields).text
    assert part.count('hx-swap-oob="true"') == 10
    assert {f'id="total-{n}"' for n in range(10)} <= set(re.findall(r'id="total-\d+"', page))
    whole = prompter.get(unescape(lazy)).text
    for cell in re.findall(r'<b class="value [pn]">[^<]+</b> <small[^>]*>random [^<]+</small>', part):
        assert cell in whole


@pytest.mark.parametrize("path", ["", "/direction?of=L1H2.ov.3"])
def test_no_cache_and_no_crawler_keeps_it(prompter, place, path):
    for answer in (prompter.get(f"{place}{path}"), prompter.get(f"/api/v1{place}{path}")):
        assert answer.headers["cache-control"] == "private, no-store"
        assert answer.headers["x-robots-tag"] == "noindex, nofollow"
    assert '<meta name="robots" content="noindex">' in prompter.get(f"{place}{path}").text
    robots = prompter.get("/robots.txt").text
    assert "Disallow: /*/p/" in robots
    assert "Disallow: /*/prompt" in robots


def test_a_link_that_holds_the_prompt_runs_it_where_it_was_never_kept(prompter):
    first = prompter.get("/tiny/prompt?text=not+from+here").headers["location"]
    assert "text=not+from+here" in first
    bare = first.partition("?")[0]
    assert prompter.get(bare).status_code == 404
    assert prompter.get(first).status_code == 200
    assert prompter.get(bare).status_code == 200
    carried = re.search(r'id="carried"[^>]*value="([^"]+)"', prompter.get(bare).text)[1]
    assert unescape(carried).startswith("http://testserver/tiny@")
    prompter.post(f"{bare}/delete", headers=ORIGIN)
    assert prompter.get(bare).status_code == 404
    assert prompter.get(unescape(carried).removeprefix("http://testserver")).status_code == 200
    other = prompter.get(f"{bare[:-1]}{'0' if bare[-1] != '0' else '1'}?text=not+from+here")
    assert (other.status_code, "some of it was changed" in other.text) == (404, True)


@pytest.mark.parametrize("fields", [{"ids": "70 71 72"}, {"text": "so it is", "start": "1"}])
def test_ids_and_a_start_token_are_carried_too(prompter, fields):
    bare = ask(prompter, **fields).headers["location"]
    tokens = prompter.get(f"/api/v1{bare}").json()["tokens"]
    if "ids" in fields:
        assert [one["id"] for one in tokens] == [70, 71, 72]
    else:
        assert tokens[0]["token"] == "<|endoftext|>"
    carried = unescape(re.search(r'id="carried"[^>]*value="([^"]+)"', prompter.get(bare).text)[1])
    prompter.post(f"{bare}/delete", headers=ORIGIN)
    again = prompter.get(carried.removeprefix("http://testserver").replace("/tiny@", "/api/v1/tiny@"))
    assert again.json()["tokens"] == tokens


def test_whoever_holds_the_link_can_delete_it(prompter):
    bare = ask(prompter, text="for a while").headers["location"]
    assert prompter.get(bare).status_code == 200
    r = prompter.app.state.resources
    folder = r.prompts.store.results.root
    assert [*folder.rglob(f"{bare.rpartition('/')[2]}/**/*.safetensors")]
    assert prompter.post(f"{bare}/delete").status_code == 403  # not from a page of this server
    gone = prompter.post(f"{bare}/delete", headers=ORIGIN)
    assert (gone.status_code, gone.headers["location"]) == (303, "/tiny/prompt?deleted=1")
    assert not [*folder.rglob(f"{bare.rpartition('/')[2]}/**/*.safetensors")]
    assert "The prompt was deleted" in prompter.get(gone.headers["location"]).text
    missing = prompter.get(bare)
    assert (missing.status_code, "older than 30 days" in missing.text) == (404, True)
    assert prompter.post(f"{bare}/delete", headers=ORIGIN).status_code == 404


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"text": ""}, "Write a text"),
        ({"text": "x" * 5_000}, "5,000 bytes"),
        ({"text": "x" * 40}, "40 tokens: a prompt has 1 to 32"),
        ({"text": "a\x07b"}, "U+0007"),
        ({"text": "so <|endoftext|> it"}, "special token"),
        ({"ids": "3 4 5000"}, "no token 5000"),
        ({"ids": "three"}, "whole numbers from 0 to 299"),
        ({"text": "so it is", "of": "L1H2.qk.0"}, "of names a singular direction"),
        ({"text": "so it is", "of": "L1H99.ov.0"}, "Head H99 is not here"),
        ({"text": "so", "ids": "1"}, "both at once"),
    ],
)
def test_bad_input_loses_nothing_and_names_what_would_do(prompter, fields, said):
    answer = ask(prompter, **fields)
    assert answer.status_code == 422
    assert said in words_of(answer.text)
    typed = fields.get("text", "")
    kept = unescape(re.search(r"<textarea[^>]*>\n?(.*?)</textarea>", answer.text, re.DOTALL)[1])
    assert kept == typed
    assert f'value="{fields.get("ids", "")}"' in answer.text


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("at=99", 422, "at goes from 0 to"),
        ("at=-1", 422, "a position of the prompt, counted from 0"),
        ("at=5000", 422, "at goes from 0 to"),
        ("at=99999999999999999999", 422, "counted from 0"),
        ("at=abc", 422, "counted from 0"),
        ("token=never+a+token+of+it", 422, "no single token"),
        ("token=%23999999", 422, "no single token"),
        ("against=qqqqq", 422, "no single token"),
        ("token=%23100&against=%23100", 422, "another token"),
        ("head=L9H0", 404, "Layer L9 is not here"),
        ("head=x", 422, "head is one such as"),
        ("show=head", 422, "needs a head"),
        ("show=everything", 422, "show"),
        ("totals=2", 422, "totals"),
        ("format=csv", 422, "format"),
        ("weights=other", 422, "weights"),
    ],
)
def test_hostile_queries_are_answered_in_words(prompter, place, query, status, said):
    for path in (place, f"/api/v1{place}"):
        answer = prompter.get(f"{path}?{query}")
        assert answer.status_code == status, answer.text[:500]
        assert said in words_of(answer.text)


@pytest.mark.parametrize(
    ("of", "status"),
    [
        ("", 422),
        ("L1H2.qk.0", 422),
        ("embed.3", 422),
        ("L1H2.ov.ica.3", 422),
        ("L1H2.ov.99", 404),
        ("L7H2.ov.0", 404),
        ("<b>", 422),
    ],
)
def test_only_singular_directions_of_an_ov_are_followed(prompter, place, of, status):
    assert prompter.get(f"{place}/direction", params={"of": of}).status_code == status
    assert prompter.get(f"/api/v1{place}/direction", params={"of": of}).status_code == status
    if of:
        assert prompter.get("/tiny/prompt", params={"of": of}).status_code == status


@pytest.mark.parametrize("key", ["0" * 16, "xyz", "0" * 400, "..%2f..%2fetc"])
def test_keys_that_name_nothing(prompter, key):
    for path in (f"/tiny/p/{key}", f"/api/v1/tiny/p/{key}", f"/tiny/p/{key}/direction?of=L1H2.ov.0"):
        assert prompter.get(path).status_code in {404, 422}


def test_what_was_typed_is_text_wherever_it_stands(serve, hostile_data, tmp_path):
    client = serve(shutil.copytree(hostile_data, tmp_path / "data"), "hostile", prompts="public")
    attack = "<script>alert(1)</script>{{ 7 * 7 }}"
    bare = ask(client, "hostile", ids=" ".join(map(str, range(1, 28)))).headers["location"]
    for path in (bare, f"{bare}/direction?of=L0H0.ov.0", "/hostile/prompt?of=L0H0.ov.0"):
        page = client.get(path)
        assert page.status_code == 200
        assert "<script>alert" not in page.text
    problem = ask(client, "hostile", text=attack + "\x00</textarea><script>")
    assert problem.status_code == 422
    assert "</textarea><script>" not in problem.text


def test_a_server_that_runs_none_says_so_and_links_none(serve, tiny_data, tmp_path):
    client = serve(shutil.copytree(tiny_data, tmp_path / "data"), "tiny", prompts="off")
    for answer in (client.get("/tiny/prompt"), ask(client, text="so"), client.get("/api/v1/tiny/p/" + "0" * 16)):
        assert answer.status_code == 403
    assert "--prompts" in client.get("/tiny/prompt").text
    assert "/tiny/prompt" not in client.get("/tiny").text
    assert "try it on a text" not in client.get("/tiny/L1/H2/ov/svd/3").text


def test_pages_of_directions_lead_there(prompter):
    assert 'href="/tiny/prompt"' in prompter.get("/tiny").text
    assert 'href="/tiny/prompt?of=L1H2.ov.3"' in prompter.get("/tiny/L1/H2/ov/svd/3").text
    for other in ("L1/H2/qk/svd/3", "embed/svd/0"):
        assert "try it on a text" not in prompter.get(f"/tiny/{other}").text


@pytest.mark.parametrize(
    ("peer", "forwarded", "status"),
    [
        ("127.0.0.1", None, 200),
        ("::1", None, 200),
        ("203.0.113.7", None, 403),
        ("testclient", None, 403),
        ("127.0.0.1", "203.0.113.7", 403),
    ],
)
def test_local_means_visitors_of_this_machine(serve, tiny_data, tmp_path, peer, forwarded, status):
    from starlette.testclient import TestClient

    own = serve(shutil.copytree(tiny_data, tmp_path / "data"), "tiny", prompts="local", trusted_proxies="127.0.0.1")
    visitor = TestClient(own.app, client=(peer, 5000), follow_redirects=False)
    fields = {"X-Forwarded-For": forwarded} if forwarded else {}
    assert visitor.get("/tiny/prompt", headers=fields).status_code == status
    posted = visitor.post("/tiny/prompt", data={"text": "so"}, headers=ORIGIN | fields)
    assert posted.status_code == (303 if status == 200 else 403)


def test_beyond_a_few_waiting_prompts_one_is_told_to_come_back(serve, tiny_data, tmp_path, monkeypatch):
    own = serve(shutil.copytree(tiny_data, tmp_path / "data"), "tiny", prompts="public", wait_seconds=0)
    r = own.app.state.resources
    monkeypatch.setattr(r.prompts.queue, "_take_turn", lambda: __import__("time").sleep(0.05))
    keys = [ask(own, text=f"so {'it ' * n}").headers["location"] for n in range(6)]
    statuses = [own.get(key).status_code for key in keys]
    assert statuses == [202] * 4 + [429] * 2
    full = own.get(keys[-1])
    assert full.headers["retry-after"] == "5"
    assert "as many as one visitor may have" in full.text
    assert own.get(f"/api/v1{keys[-1]}").json()["error"] == "busy"
    assert own.get("/tiny").status_code in {200, 202}


def test_a_model_that_is_not_run_says_so_in_the_form_and_everywhere(serve, member, tmp_path):
    own = serve(shutil.copytree(member("mixtral").data, tmp_path / "data"), "mixtral", prompts="public")
    assert "not run here" in words_of(own.get("/mixtral/prompt").text)
    assert "<textarea" not in own.get("/mixtral/prompt").text
    assert ask(own, "mixtral", text="so").status_code == 422
    assert "/mixtral/prompt" not in own.get("/mixtral").text


def test_post_normed_models_say_what_is_not_defined(serve, member, tmp_path):
    own = serve(shutil.copytree(member("gemma2").data, tmp_path / "data"), "gemma2", prompts="public")
    bare = ask(own, "gemma2", ids="3 4 5 6").headers["location"]
    found = check_answer("prompt", own.get(f"/api/v1{bare}").json())
    assert found["show"] == "writes"
    assert {one["direct"] for one in found["directions"]} == {None}
    for show in ("speaks", "neurons"):
        refused = own.get(f"{bare}?show={show}")
        assert (refused.status_code, "no share of a logit" in words_of(refused.text)) == (422, True)
    page = own.get(bare)
    assert "no share of a logit" in words_of(page.text)
    assert 'id="totals"' not in page.text


def test_nothing_of_a_prompt_is_in_the_log(prompter, caplog):
    caplog.set_level("DEBUG")
    bare = ask(prompter, text="quarrel some").headers["location"]
    prompter.get(f"{bare}?token=quarrelsome")
    ask(prompter, text="quarrelsome\x00")
    prompter.get("/tiny/prompt?text=quarrel")
    own = [record for record in caplog.records if record.name.startswith("app")]
    assert "quarrel" not in json.dumps([record.getMessage() for record in own])


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200),  # a link in a chat
        ({"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}, 200),
        ({}, 200),
    ],
)
def test_pages_of_other_sites_run_and_read_nothing(prompter, place, fields, status):
    for path in (f"/api/v1{place}", f"{place}?text={TEXT.replace(' ', '+')}", "/tiny/prompt"):
        answer = prompter.get(path, headers=fields)
        assert answer.status_code == status, path
        assert "access-control-allow-origin" not in answer.headers or status != 200
    run = prompter.get(f"/api/v1/tiny/prompt?text={TEXT.replace(' ', '+')}", headers=fields)
    assert run.status_code == (303 if status == 200 else status)


def test_a_prompt_is_edited_without_standing_in_an_address(prompter):
    form = ask(prompter, text="so it is", start="1", rewrite="1")
    assert form.status_code == 200
    assert ">\nso it is</textarea>" in form.text
    assert re.search(r'name="start" value="1" checked', form.text)
    assert (
        "so it is" in prompter.get(ask(prompter, text="so it is").headers["location"]).text
    )  # carried by its own form


def test_rows_lead_to_directions_that_lead_back(prompter, place):
    key = place.rpartition("/")[2]
    links = re.findall(rf'href="(/tiny/L[^"]+prompt={key}[^"]*)"', prompter.get(place).text)
    assert len(links) == 10
    page = prompter.get(unescape(links[0]).partition("#")[0])
    back = re.search(r'href="([^"]+)"[^>]*>on your prompt<', page.text)[1]
    assert unescape(back).startswith(f"{place}/direction?of=")
    assert prompter.get(unescape(back)).status_code == 200
    assert "on your prompt" not in prompter.get("/tiny/L1/H2/ov/svd/3").text
    assert prompter.get("/tiny/L1/H2/ov/svd/3?prompt=nonsense").status_code == 422


def test_other_weights_name_the_command_for_their_statistics(prompter, place):
    for path in (place, f"{place}/direction?of=L1H2.ov.3"):
        said = prompter.get(f"{path}{'&' if '?' in path else '?'}weights=raw").text
        assert "singular-lens statistics tiny --weights raw" in said
        assert "singular-lens statistics" not in prompter.get(path).text


def test_a_text_that_is_not_the_keys_is_told_even_where_the_prompt_is_here(prompter, place):
    assert prompter.get(f"{place}?text=another").status_code == 404
    assert prompter.get(f"{place}?text={TEXT.replace(' ', '+')}").status_code == 200


def test_an_error_leads_back_to_the_prompt(prompter, place):
    page = prompter.get(f"{place}?at=99")
    assert page.status_code == 422
    assert f'<a href="{place}">The prompt’s own page</a>' in page.text


def test_a_direction_shows_the_places_of_the_reference_text_where_it_arrives(prompter):
    found = check_answer("direction", prompter.get("/api/v1/tiny/L1/H2/ov/svd/3").json())["use"]["peaks"]
    assert [one["ray"] for one in found] == ["p"] * 3 + ["n"] * 3
    z = [one["z"] for one in found]
    assert z[:3] == sorted(z[:3], reverse=True)
    assert z[3:] == sorted(z[3:])
    page = prompter.get("/tiny/L1/H2/ov/svd/3").text
    assert page.count("<mark>") == 6


def test_forms_that_are_none_of_ours_are_told_so(prompter):
    many = "&".join(f"a{n}=1" for n in range(30))
    for body, words in (
        (many, "more than 20 fields"),
        ("text=%ff%fe", "bytes that are no text"),
        ("text=a%ED%A0%80", "bytes that are no text"),
    ):
        headers = ORIGIN | {"Content-Type": "application/x-www-form-urlencoded"}
        answer = prompter.post("/tiny/prompt", content=body, headers=headers)
        assert answer.status_code == 422, body
        assert words in unescape(answer.text), body


def test_a_form_that_says_no_by_its_start_field_means_it(prompter):
    assert ask(prompter, text=TEXT, start="0").headers["location"] == ask(prompter, text=TEXT).headers["location"]


def test_a_frame_of_another_site_runs_nothing(prompter, place):
    foreign = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert prompter.get(place, headers=foreign | {"Sec-Fetch-Dest": "iframe"}).status_code == 403
    assert prompter.get(place, headers=foreign | {"Sec-Fetch-Dest": "document"}).status_code == 200


def test_what_is_too_long_for_a_link_is_not_repeated(prompter):
    for path in ("/tiny/prompt", "/api/v1/tiny/prompt"):
        answer = prompter.get(path, params={"text": "secret" * 310})
        assert answer.status_code == 422
        assert "secretsecret" not in answer.text.replace("value=", "")


def test_errors_lead_on(prompter, place):
    """To the prompt where that is here, and else to the form."""
    for path in (f"{place}/direction?of=L1H2.ov.99", f"{place}/direction?of=L1H2.ov.0&at=99", f"{place}?at=99"):
        page = prompter.get(path)
        assert page.status_code in {404, 422}
        assert f'<a href="{place}">' in page.text, path
    gone = place[:-16] + "0" * 16
    for path in (gone, f"{gone}/direction?of=L1H2.ov.0"):
        page = prompter.get(path)
        assert page.status_code == 404
        assert '<a href="/tiny/prompt">' in page.text, path
        assert f'href="{gone}"' not in page.text


def test_nothing_is_usual_for_the_first_position(prompter, place):
    found = prompter.get(f"/api/v1{place}?at=0").json()
    assert all(one["z"] is None and one["beyond"] is None for one in found["directions"])
    direct = [abs(one["direct"]) for one in found["directions"]]
    assert direct == sorted(direct, reverse=True)
    assert "nothing is usual for the first position" in words_of(prompter.get(f"{place}?at=0").text)
    course = prompter.get(f"/api/v1{place}/direction?of=L1H2.ov.3").json()
    assert [one["z"] is None for one in course["tokens"]] == [True] + [False] * (len(course["tokens"]) - 1)


def test_the_end_of_a_row_is_that_of_more_than_usual(prompter, place):
    found = prompter.get(f"/api/v1{place}").json()
    assert all(one["ray"] == ("p" if one["z"] >= 0 else "n") for one in found["directions"])
    written = prompter.get(f"/api/v1{place}?show=writes").json()
    assert all(one["ray"] == ("p" if one["attended"] >= 0 else "n") for one in written["directions"])


def test_the_switch_of_weights_leaves_a_score_that_others_have_not(prompter):
    page = prompter.get("/tiny?score=ov-overuse")
    assert page.status_code == 200
    assert "/tiny?weights=raw&amp;score=ov-overuse" not in page.text
    assert "score=ov-overuse&amp;weights=raw" not in page.text
    assert prompter.get("/tiny?weights=raw").status_code == 200


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("token=zzzzqq", "zzzzqq"),
        ("head=L9H0", "L9"),
        ("head=nowhere", "head is one such as L5H3"),
        ("against=zzzzqq", "zzzzqq"),
        ("token=%23100&against=%23100", "another token than the one"),
    ],
)
def test_a_slip_in_a_box_costs_no_more_than_itself(prompter, place, query, words):
    page = prompter.get(f"{place}?at=1&{query}")
    assert page.status_code in {404, 422}
    assert 'class="strip"' in page.text
    assert words in words_of(page.text)
    name, _, typed = query.partition("&")[0].partition("=")
    assert re.search(rf'<input [^>]*name="{name}" value="{unquote(typed)}"', page.text)
    assert re.search(r'title="position 1 [^>]*aria-current="true"', page.text)
    assert prompter.get(f"/api/v1{place}?at=1&{query}").status_code in {404, 422}


def test_a_word_without_its_space_names_the_other_token(prompter, place):
    vocabulary = prompter.app.state.resources.library.model("tiny").vocabulary
    texts = {vocabulary.entry(id_).text: id_ for id_, known in enumerate(vocabulary.known) if known}
    bare = next(text for text in texts if text.isalpha() and f" {text}" in texts)
    page = prompter.get(place, params={"token": bare})
    assert page.status_code == 200
    assert f"token=%23{texts[' ' + bare]}" in page.text
    assert "is another token" in words_of(page.text)
    assert "is another token" not in words_of(prompter.get(place, params={"token": f"#{texts[bare]}"}).text)


def test_the_first_visitor_of_a_server_sees_what_directions_write(serve, tiny_data, tmp_path):
    """Without a bank, and with no matrix read before: as its matrix's own page has it."""
    client = serve(shutil.copytree(tiny_data, tmp_path / "data"), "tiny", prompts="public")
    rows = client.get(f"/api/v1{ask(client, text=TEXT).headers['location']}").json()["directions"]
    assert rows
    for row in rows[:3]:
        end = client.get(f"/api/v1/{row['address']}").json()["right"]["plus" if row["ray"] == "p" else "minus"]
        assert [one["id"] for one in row["tokens"]] == [one["id"] for one in end[:6]]


def test_a_program_runs_a_prompt_that_stands_in_no_address(prompter, place):
    answer = prompter.post("/api/v1/tiny/prompt", data={"text": TEXT}, headers=ORIGIN)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/api/v1{place}")
    assert "no-store" in answer.headers["Cache-Control"]
    raw = prompter.post("/api/v1/tiny/prompt", data={"text": TEXT, "weights": "raw"}, headers=ORIGIN)
    assert raw.headers["location"] == f"/api/v1{place}?weights=raw"
    refused = prompter.post("/api/v1/tiny/prompt", data={"text": ""}, headers=ORIGIN)
    assert (refused.status_code, refused.json()["error"]) == (422, "bad_option")
    assert prompter.post("/api/v1/tiny/prompt", data={"text": TEXT}).status_code == 403
