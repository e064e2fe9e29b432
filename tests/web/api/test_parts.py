from http import HTTPStatus

from app.web.api.parts import FAULTS


def test_every_fault_of_the_api_is_described_wherever_it_may_happen(client):
    document = client.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        answers = methods["get"]["responses"]
        if not path.startswith("/api/v1/"):
            continue
        assert {str(status) for status in FAULTS} <= set(answers), path
        for status in map(str, FAULTS):
            form = "ComingJson" if status == "202" else "ErrorJson"
            assert answers[status]["content"]["application/json"]["schema"]["$ref"].endswith(f"/{form}")


def test_faults_are_sentences_with_a_status():
    for status, fault in FAULTS.items():
        assert HTTPStatus(status) >= HTTPStatus.ACCEPTED
        assert fault["description"].endswith(".")


def test_every_part_of_a_path_is_described_with_an_example(client):
    paths = client.get("/openapi.json").json()["paths"]
    for path, methods in paths.items():
        parts = [each for each in methods["get"].get("parameters", []) if each["in"] == "path"]
        assert {each["name"] for each in parts} == {
            part.strip("{}") for part in path.replace("-", "/").split("/") if "{" in part
        }
        assert all(each["schema"].get("examples") or each.get("example") or each.get("examples") for each in parts), (
            path
        )
        assert all(each["description"] for each in parts)
