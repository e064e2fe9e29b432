"""The blind round over HTTP: it tells nothing before it should, and everything after."""

import re

import pytest

PAGE, API = "/tiny/blind", "/api/v1/tiny/blind"
CHIP = re.compile(r"<bdi [^>]*>.*?</bdi>", re.DOTALL)


@pytest.fixture(scope="module")
def solution(client):
    return [one["right"] for one in client.get(f"{API}?answers=llllllllll").json()["results"]]


def test_a_question_tells_nothing(client, solution):
    """But for tokens, their number and the answers so far, all questions are one page, whatever is right."""
    assert set(solution[1:]) == {"l", "r"}
    pages = set()
    for n in range(1, 10):
        html = CHIP.sub("chip", client.get(f"{PAGE}?answers={'l' * n}").text)
        pages.add(re.sub(r"answers=[lr]+", "answers=", html).replace(f"Question {n + 1} of", "Question n of"))
    assert len(pages) == 1


@pytest.mark.parametrize("n", range(10))
def test_no_link_and_no_number_of_a_ray_is_in_the_source(client, n):
    html = client.get(f"{PAGE}?answers={'r' * n}").text
    main = html[html.index("<main") : html.index('<section class="share"')]
    assert not re.search(r"/(ov|qk)\b|svd/|L\dH\d", main)
    chips = CHIP.findall(main)
    assert len(chips) == 24
    assert all(re.search(r'title="([^"]* · )?id \d+"', chip) for chip in chips)
    json = client.get(f"{API}?answers={'r' * n}").json()
    assert (json["results"], json["n_right"], json["by_chance"]) == ([], None, None)
    assert {key for side in ("left", "right") for token in json["columns"][side] for key in token} == {"id", "token"}


def test_ten_answers_have_their_score_and_every_ray_its_link(client, solution, tags):
    json = client.get(f"{API}?answers=llllllllll").json()
    n_right = solution.count("l")
    assert json["n_right"] == n_right
    html = client.get(f"{PAGE}?answers=llllllllll").text
    assert f"{n_right} of 10 correct" in html
    hrefs = [each.get("href", "") for tag, each in tags(html).found if tag == "a"]
    for one in json["results"]:
        assert any(re.sub(r"\?path=[^#]*", "", href) == f"/{one['address']}#{one['ray']}" for href in hrefs)
        assert client.get(f"/{one['address']}").status_code == 200
    assert {f"{PAGE}?seed=2", f"{PAGE}?seed=1"} <= set(hrefs)
    assert html.count("<strong>missed</strong>") == 10 - n_right


def test_page_and_json_show_the_same_tokens(client, tags):
    for answers in ("lr", "lrlrlrlrlr"):
        json = client.get(f"{API}?answers={answers}").json()
        questions = [json["columns"]] if json["columns"] else [one["columns"] for one in json["results"]]
        ids = [token["id"] for columns in questions for side in ("left", "right") for token in columns[side]]
        html = client.get(f"{PAGE}?answers={answers}").text
        assert [int(re.search(r"id (\d+)", chip)[1]) for chip in CHIP.findall(html)] == ids


def test_the_choices_lead_to_the_next_question_and_keep_the_rest(client, tags):
    html = client.get(f"{PAGE}?seed=9&answers=lr&of=all&weights=raw").text
    links = {
        each["aria-keyshortcuts"]: each["href"] for tag, each in tags(html).found if "choice" in each.get("class", "")
    }
    assert links == {
        "1": f"{PAGE}?weights=raw&seed=9&answers=lrl",
        "2": f"{PAGE}?weights=raw&seed=9&answers=lrr",
    }
    for link in links.values():
        assert "Question 4 of 10" in client.get(link).text


@pytest.mark.parametrize(
    ("query", "is_said"),
    [("", False), ("answers=lr", False), ("of=readable", True), ("answers=lrlrlrlrlr", True)],
)
def test_what_frequency_alone_tells_is_said_beside_the_score(client, query, is_said):
    answer = client.get(f"{PAGE}?{query}")
    assert answer.status_code == 200
    assert ("frequency alone tells many apart" in answer.text) == is_said


def test_other_weights_and_other_rays_begin_anew(client, tags):
    hrefs = [each.get("href") for tag, each in tags(client.get(f"{PAGE}?seed=9&answers=lr").text).found if tag == "a"]
    assert f"{PAGE}?weights=raw&seed=9" in hrefs
    assert f"{PAGE}?seed=9&of=readable" in hrefs


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("seed=-1", "seed is at least 0"),
        ("seed=1000000", "seed is at most 999999"),
        ("seed=x", "seed is a whole number"),
        ("seed=1e3", "seed is a whole number"),
        ("answers=lrx", "up to 10 letters, each l or r"),
        ("answers=lllllllllll", "up to 10 letters, each l or r"),
        ("answers=l%0A", "up to 10 letters, each l or r"),
        ("answers=%3Cscript%3E", "up to 10 letters, each l or r"),
        ("of=some", "'all' or 'readable'"),
    ],
)
def test_hostile_values_hear_the_range(client, query, said):
    for url in (PAGE, API):
        answer = client.get(f"{url}?{query}")
        assert answer.status_code == 422
        assert said in answer.text.replace("&#39;", "'")
        assert url == API or "<script>" not in answer.text


def test_a_model_links_to_it_and_a_pasted_link_leads_there(client, tags):
    hrefs = [each.get("href") for tag, each in tags(client.get("/tiny?weights=raw").text).found if tag == "a"]
    assert f"{PAGE}?weights=raw" in hrefs
    answer = client.get("/tiny/jump", params={"q": f"http://testserver{PAGE}?seed=9&answers=lr"})
    assert answer.headers["Location"] == f"{PAGE}?seed=9&answers=lr"


def test_a_vocabulary_without_a_control_says_so(hostile):
    answer = hostile.get("/hostile/blind")
    assert answer.status_code == 200
    assert "There is no blind round here" in answer.text
    assert hostile.get("/api/v1/hostile/blind").json()["obstacle"] == "unjudged"


def test_a_pin_leads_to_the_same_round(client, pin):
    answer = client.get(f"/api/v1/tiny@{pin}/blind?answers=lr")
    assert answer.json()["columns"] == client.get(f"{API}?answers=lr").json()["columns"]
    assert client.get("/tiny@000000000000/blind").status_code == 404
