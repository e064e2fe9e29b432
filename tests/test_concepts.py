import pytest

from tests.concepts import Concept, read_concepts

FIRST, OTHERS = read_concepts("concepts"), read_concepts("other_concepts")


def test_there_are_twenty_concepts_and_eighteen_others():
    assert len(FIRST) == 20
    assert len(OTHERS) == 18
    assert not {concept.name for concept in FIRST} & {concept.name for concept in OTHERS}
    assert not {word for concept in FIRST for word in concept.query} & {
        word for concept in OTHERS for word in concept.query
    }


@pytest.mark.parametrize("concept", OTHERS, ids=lambda concept: concept.name)
def test_others_are_asked_with_two_or_three_words_and_judged_by_twenty_to_fifty(concept: Concept):
    assert len(concept.query) in {2, 3}
    assert 20 <= len(concept.lexicon) <= 50
    assert all(word == word.strip().lower() for word in concept.lexicon)


def test_a_ray_is_about_a_concept_with_five_of_its_words_and_three_different_ones():
    colours = next(concept for concept in FIRST if concept.name == "colours")
    assert colours.is_of([" red", "Red", " blue", "green", " green", *["x"] * 15])
    assert not colours.is_of([" red", "Red", " blue", "green", *["x"] * 16])
    assert not colours.is_of([" red", "Red", " RED", "blue", " blue"])
    assert not colours.is_of([*["x"] * 18, " red", " blue", "green", " white", " black"])
