"""Records the examples of the API's description from a server of the demo: `python docs/examples.py URL`.

The server must have computed all of it: `singular-lens precompute demo`, `singular-lens statistics demo`, `singular-lens
precompute demo --basis used --matrices ov` and `singular-lens precompute demo --matrices linear-0-6,unlikely`, then
`singular-lens serve demo --public-url https://lens.example`. `make openapi` puts what was recorded into the description.
Lists and numbers are shortened: an example shows a form, not a result.
"""

import json
import sys
import urllib.parse
import urllib.request
from typing import Any

from app.web.api.description import EXAMPLES

HEAD, DIRECTION = "demo/L1/H2", "demo/L1/H2/ov/svd/3"
PROMPTS = {
    "key": "In+the+beginning+God+created+the+heaven+and+the",
    "attract": "and+the+light+was+good+in+the+sight+of+the+LORD",
    "repel": "and+the+people+did+evil+in+the+land",
}
"""Prompts by what their keys are called below."""
TARGETS = {
    "models": "",
    "jobs": "-/jobs",
    "job": "-/jobs/{job}",
    "model": "demo",
    "notable": "demo/notable",
    "census": "demo/census",
    "blind": "demo/blind?answers=lrlrlrlrlr",
    "search": "demo/search?q=that",
    "every": "-/search?q=that",
    "found": "demo/token?text=that",
    "token": "demo/token/300",
    "layer": "demo/L1",
    "head": HEAD,
    "full": f"{HEAD}/full?token=that",
    "alike": f"{HEAD}/alike",
    "composition": "demo/composition",
    "contrast": f"-/compare?a={HEAD}/ov&b=demo/L0/H1/ov",
    "pair": "-/pair?a=demo/L0/H1&b=demo/L2/H3&part=query",
    "matrix": f"{HEAD}/ov",
    "comparison": f"{HEAD}/ov/compare",
    "decomposition": f"{HEAD}/ov/neuron",
    "direction": DIRECTION,
    "surroundings": f"{DIRECTION}/around",
    "run": f"demo/prompt?text={PROMPTS['key']}",
    "prompt": "demo/p/{key}?totals=1",
    "course": "demo/p/{key}/direction?of=L1H2.ov.3",
    "why": "demo/p/{key}/why?head=L1H2",
    "lens": "demo/p/{key}/lens?basis=pca",
    "edit": "demo/p/{key}/edit?edit=L1H2.ov.3:-1&curve=1&more=4",
    "steer": "demo/p/{key}/steer?of=L1H2.ov.3p",
    "sara": "demo/p/{key}/sara?attract={attract}&repel={repel}&study=1",
    "experiment": "demo/x/{experiment}",
    "pairs": "demo/pairs?of=L1H2.qk.3",
    "linear": "demo/linear",
    "unlikely": "demo/unlikely",
}
"""Name of a route of the API -> what of the demo shows its answer."""
LONGEST, DIGITS = 3, 4
LARGEST_ROUNDED = 1e6
"""Larger numbers are times or counts."""


def record_examples(base: str) -> dict[str, Any]:
    """Ask the server at this URL for the answer of each route; RuntimeError where it is not there yet."""
    (job, *_) = _fetch(base, TARGETS["jobs"])["jobs"]
    keys = {name: _fetch(base, f"demo/prompt?text={text}")["key"] for name, text in PROMPTS.items()}
    named = {"job": job["id"], **keys, "experiment": _make_experiment(base)}
    return {name: shorten(_fetch(base, target.format(**named))) for name, target in TARGETS.items()}


def _make_experiment(base: str) -> str:
    """Make the experiment of the example, and return its key."""
    said = {"prompts": "\n".join(text.replace("+", " ") for text in PROMPTS.values()), "edit": "L1H2.ov.3:-1"}
    asked = urllib.request.Request(f"{base}/demo/x", urllib.parse.urlencode(said).encode(), {"Origin": base})  # noqa: S310
    with urllib.request.urlopen(asked, timeout=120) as answer:  # noqa: S310 (the URL is the operator's)
        return answer.url.rpartition("/")[2]


def shorten(value: Any) -> Any:
    """Keep what shows the form of an answer: of long lists the first entries, of numbers the first digits."""
    if isinstance(value, dict):
        return {name: shorten(own) for name, own in value.items()}
    if isinstance(value, list):
        is_nested = any(isinstance(own, (dict, list)) for own in value)
        return [shorten(own) for own in value[: (1 if is_nested else LONGEST) if len(value) > LONGEST else None]]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) and abs(value) < LARGEST_ROUNDED else value


def _fetch(base: str, target: str) -> Any:
    with urllib.request.urlopen(f"{base}/api/v1/{target}", timeout=120) as answer:  # noqa: S310 (the URL is the operator's)
        if answer.status != 200:
            raise RuntimeError(f"{target} is not computed yet: {answer.read().decode()}")
        return json.load(answer)


if __name__ == "__main__":
    recorded = record_examples(sys.argv[1].rstrip("/"))
    EXAMPLES.write_text(json.dumps(recorded, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
