"""The answers of llama.cpp itself to a few prompts, recorded for the tests, which have no llama.cpp.

    pip install xllamacpp
    python -m benchmarks.llama_cpp SmolLM2-135M-Instruct.Q4_1.gguf tests/models/importing/gguf/smollm2.json

For each prompt its number of tokens, and the 20 likeliest next ones with their natural log-probabilities.
"""

import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any

PROMPTS = (
    "The capital of France is",
    "The cat sat on the mat and looked at the",
    "def fibonacci(n):\n    if n <= 1:\n        return",
    "Water boils at a temperature of 100 degrees",
    "The opposite of hot is",
    "In 1969, the first man walked on the",
)
TOP = 20


def answer_prompts(path: str) -> dict[str, Any]:
    """Answer the prompts with a GGUF file, as JSON values."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel = path, 256, 1
    server = xllamacpp.Server(params)
    found = []
    for prompt in PROMPTS:
        asked = {"prompt": prompt, "n_predict": 1, "n_probs": TOP, "temperature": 0.0, "cache_prompt": False}
        answer = server.handle_completions(asked)
        likeliest = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        following = [[each["id"], round(each["logprob"], 4)] for each in likeliest]
        found.append({"prompt": prompt, "n_tokens": answer["usage"]["prompt_tokens"], "next": following})
    return {"by": f"xllamacpp {importlib.metadata.version('xllamacpp')}", "answers": found}


if __name__ == "__main__":
    file, kept = sys.argv[1:]
    # To a file, not to the terminal, where llama.cpp itself prints.
    Path(kept).write_text(json.dumps(answer_prompts(file)) + "\n", encoding="utf-8")
