"""The full circuits of a head over HTTP: the page, its twin, and what they say of a token that is none."""

import re

import pytest

from tests.answers import check_answer

HEAD = "/tiny/L1/H2/full"
API = f"/api/v1{HEAD}"


def test_without_a_token_there_is_a_box_and_some_to_begin_with(client, tags):
    found = check_answer("full", client.get(API).json())
    assert (found["token"], found["rows"]) == (None, [])
    assert found["suggested"]
    page = client.get(HEAD)
    assert page.status_code == 200
    assert any(tag == "input" and each.get("name") == "token" for tag, each in tags(page.text).found)


def test_one_tokens_rows_are_the_same_on_both(client):
    found = check_answer("full", client.get(f"{API}?token=+that").json())
    assert found["token"]["token"] == " that"
    assert len(found["rows"]) == 3
    assert found["links"]["page"] == f"{HEAD}?token=+that"
    page = client.get(found["links"]["page"])
    assert page.status_code == 200
    for row in found["rows"]:
        assert row["own_rank"] >= 1
    assert client.get(found["links"]["json"]).json() == found


def test_a_token_may_be_named_in_several_ways(client):
    by_text = client.get(f"{API}?token=+that").json()
    for spelling in ("%C2%B7that", f"%23{by_text['token']['id']}"):
        assert client.get(f"{API}?token={spelling}").json() == by_text


@pytest.mark.parametrize(
    ("token", "status", "said"),
    [
        ("xyzzyx", 422, "no single token"),
        ("%2399999", 422, "#0 to #"),
        ("%3Cscript%3E", 422, "no single token"),
        ("x" * 2_000, 414, ""),
    ],
)
def test_what_is_no_token_is_said_on_both(client, token, status, said):
    for url in (API, HEAD):
        answer = client.get(f"{url}?token={token}")
        assert answer.status_code == status
        assert said in answer.text
    assert "“<script>" not in client.get(f"{HEAD}?token={token}").text


@pytest.mark.parametrize("place", ["/tiny/L1/H9/full", "/tiny/L7/H0/full", "/nobody/L0/H0/full"])
def test_a_head_that_is_not_there_is_404_with_the_range(client, place):
    for url in (place, f"/api/v1{place}"):
        answer = client.get(url)
        assert answer.status_code == 404
        assert "H0 to H3" in answer.text or "L0 to L1" in answer.text or "tiny" in answer.text


def test_a_pin_leads_to_the_same_numbers(client, pin):
    answer = client.get(f"/api/v1/tiny@{pin}/L1/H2/full?token=+that")
    plain = client.get(f"{API}?token=+that").json()
    assert answer.json()["rows"] == plain["rows"]


def test_a_distance_turns_queries_of_a_rotary_model_alone(client, relatives):
    near, far = (
        relatives.get(f"/api/v1/llama/L1/H2/full?token=%235&distance={distance}").json() for distance in (0, 7)
    )
    by_role = [{row["role"]: row["readout"] for row in found["rows"]} for found in (near, far)]
    differ = {role for role in by_role[0] if by_role[0][role] != by_role[1][role]}
    assert len(differ) == 2  # as the query and as the key: OV is the same at any distance
    assert client.get(f"{API}?token=+that&distance=3").status_code == 422


@pytest.mark.parametrize("option", ["ascii=1", "starts=1", "plain=1", "frequent=100", "rotated=1", "components=3"])
@pytest.mark.parametrize("token", ["", "token=+that&"])
def test_a_filter_of_tokens_is_refused_rather_than_ignored(client, option, token):
    for url in (API, HEAD):
        answer = client.get(f"{url}?{token}{option}")
        assert answer.status_code == 422
        assert f"{option.partition('=')[0]} means nothing here. Valid: weights, distance, token." in answer.text


def test_the_api_says_what_it_takes(client):
    (described,) = (
        each["get"] for path, each in client.get("/openapi.json").json()["paths"].items() if path.endswith("/full")
    )
    assert {each["name"] for each in described["parameters"] if each["in"] == "query"} == {
        "weights",
        "distance",
        "token",
    }


@pytest.mark.parametrize("place", ["/tiny/L1/H2", "/tiny/L1/H2/ov", "/tiny/L1/H2/qk/svd/1", "/tiny/embed"])
def test_every_link_of_a_filtered_page_leads_somewhere(client, tags, place):
    """The filter stays where tables heed it, and is left behind elsewhere."""
    html = client.get(f"{place}?ascii=1&frequent=100").text
    links = {a["href"].partition("#")[0] for tag, a in tags(html).found if tag == "a" and a["href"].startswith("/tiny")}
    assert any("ascii=1" in link for link in links)
    kinds = {re.sub(r"\d+", "0", link): link for link in links}  # one of many alike
    for link in kinds.values():
        assert client.get(link).status_code in {200, 202, 307}, link


def test_the_box_of_a_filtered_head_leaves_the_filter_behind(client, tags):
    found = tags(client.get("/tiny/L1/H2?ascii=1&frequent=100&weights=raw").text).found
    (start,) = (at for at, (tag, each) in enumerate(found) if tag == "form" and each.get("action") == HEAD)
    end = next(at for at, (tag, _) in enumerate(found) if at > start and tag == "button")
    sent = {each["name"]: each.get("value") for tag, each in found[start:end] if tag == "input"}
    assert set(sent) == {"token", "weights"}
    assert client.get(HEAD, params=sent | {"token": " that"}).status_code == 200
