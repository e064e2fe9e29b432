"""Which lines of Python show a direction again, and where none are offered: they must print what the page shows.

The lines themselves are templates. Knows architectures by name only.
"""

from app.explorer.pages import DirectionPage

PLAIN = "GPT2LMHeadModel"
"""Read with transformers alone; everything else through transformer_lens."""
PAIRED_OTHERWISE = frozenset({"GPTJForCausalLM", "CohereForCausalLM", "Gemma3ForCausalLM"})
"""Rotary architectures whose turning the lines do not know; at distance 0 there is none."""


def script_of(page: DirectionPage) -> str:
    """The template of the lines for that page."""
    return "_fragments/reproduce_gpt2.txt" if page.model.architecture == PLAIN else "_fragments/reproduce.txt"


def is_turned(page: DirectionPage) -> bool:
    """Whether the lines have to turn queries against keys."""
    if page.address.circuit == "ov" or page.farthest is None:
        return False
    # Folded weights at distance 0 are turned for the scale that YaRN gives the scores.
    scaled = page.view.weights == "folded" and page.model.architecture not in PAIRED_OTHERWISE
    return page.view.distance > 0 or scaled


def why_not(page: DirectionPage) -> str:
    """Why no lines are offered for that page, as a sentence; empty where some are."""
    if page.address.circuit == "ov":
        return ""
    if page.view.weights == "folded" and page.model.qk_norm != "none":
        return "No lines are offered for folded QK of a model that norms queries and keys; raw weights have some."
    if page.view.distance and page.model.architecture in PAIRED_OTHERWISE:
        return "No lines are offered at a distance for this architecture's rotary positions; distance 0 has some."
    return ""
