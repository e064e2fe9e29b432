"""The API does what its OpenAPI document says, whatever is asked of it: proposed by schemathesis, sent to a real server."""

import shutil
from dataclasses import replace

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from app.store.jobs import JobStore
from app.web.routes import api, blind, full, matrices
from app.web.routes.finding import around, heads, pair, search, token
from app.web.routes.using import changes, experiments, prompts, streams

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
JOB, TOKEN = "0123456789ab", "70"
THERE = {"model": "tiny", "layer": "L1", "head": "H2", "circuit": "ov", "basis": "svd", "index": "0", "id": JOB}
THERE |= {"part": "in", "stack": "read"}
"""Words that lead somewhere: what is made up alone would never get past the model's name."""


@pytest.fixture(scope="module")
def server(run_server, tiny_data, tmp_path_factory):
    data = shutil.copytree(tiny_data, tmp_path_factory.mktemp("contract") / "data")
    store = JobStore(data / "jobs")
    store.write(replace(store.new("tiny"), id=JOB))
    with run_server(data, "tiny", wait_seconds=30) as running:
        yield running


def asked(operation, mode, n):
    """Ask n times for what that mode makes up, each word of the path now and then one that is there."""
    words = THERE | ({"id": TOKEN} if "/token/" in operation.path else {})

    @settings(max_examples=n, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(
        case=operation.as_strategy(generation_mode=mode),
        there=st.lists(st.booleans(), min_size=len(THERE), max_size=len(THERE)),
    )
    def ask(case, there):
        for (name, word), chosen in zip(words.items(), there, strict=True):
            if chosen and name in case.path_parameters:
                case.path_parameters[name] = word
        answer = case.call_and_validate(checks=CHECKS, timeout=60)  # a busy machine takes long
        seen.add(answer.status_code)
        assert "Traceback" not in answer.text

    seen: set[int] = set()
    ask()
    return seen


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.name.lower())
def test_every_answer_is_one_that_the_document_names(server, long, mode):
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{server.port}/openapi.json", timeout=60)
    operations = [result.ok() for result in schema.get_all_operations()]
    twins = [
        route
        for room in (
            api,
            around,
            blind,
            changes,
            experiments,
            full,
            heads,
            matrices,
            pair,
            prompts,
            search,
            streams,
            token,
        )
        for route in room.router.routes
        if route.include_in_schema
    ]
    assert len(operations) == len(twins) + 2  # and two probes
    if mode is GenerationMode.NEGATIVE:  # nothing can be wrong where nothing but words of a path are said
        operations = [
            operation
            for operation in operations
            if any(parameter.location == "query" for parameter in operation.iter_parameters())
        ]
    seen = set()
    for operation in operations:
        seen |= asked(operation, mode, 300 if long else 4)
    assert {404, 200 if mode is GenerationMode.POSITIVE else 422} <= seen
    assert "Traceback" not in server.log.read_text()
