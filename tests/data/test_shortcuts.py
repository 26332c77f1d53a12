"""A trait that gives the label away in all but the test texts is named; honest words are not."""

import random
from collections.abc import Callable

import pytest

from loraexp.config.schema import Data
from loraexp.data.shortcuts import shortcuts
from loraexp.data.splits import load_data

Texts = tuple[list[str], list[int]]
WORDS = ["the", "of", "not", "so", "great", "day", "rain", "work", "home", "you", "me", "bus"]
SIZES = {"train": 700, "validation": 100, "test": 200}
Mark = Callable[[str, int], str]


def texts(n: int, mark: Mark, seed: int, positive: float = 0.5) -> Texts:
    """Texts that say nothing of their class, but for what `mark` does to them."""
    rng = random.Random(seed)
    classes = [int(rng.random() < positive) for _ in range(n)]
    made = [" ".join(rng.choices(WORDS, k=rng.randint(4, 20))) for _ in range(n)]
    return [mark(t, c) if rng.random() < 0.8 else t for t, c in zip(made, classes, strict=True)], (
        classes
    )


def splits(seen: Mark, test: Mark, positive: float = 0.5, seed: int = 0) -> dict[str, Texts]:
    made = {name: texts(n, seen, seed + n) for name, n in SIZES.items()}
    return made | {"test": texts(SIZES["test"], test, seed + 1, positive)}


def as_it_is(text: str, label: int) -> str:
    return text


MARKS: dict[str, Mark] = {
    "white space at the ends": lambda text, label: text + "  " * label,
    "upper and lower case": lambda text, label: text.capitalize() if label else text,
    "length": lambda text, label: text + " bus" * 20 * label,
    "the word '#not'": lambda text, label: f"{text} #not" if label else text,
}


@pytest.mark.parametrize("trait", MARKS)
def test_a_trait_that_the_test_lacks_is_named(trait: str) -> None:
    (line, *_) = shortcuts(splits(MARKS[trait], as_it_is))
    assert line.startswith(f"a shortcut: {trait} alone gives the label of ")
    assert "of train and validation texts, of " in line


@pytest.mark.parametrize("trait", MARKS)
def test_a_trait_that_turns_over_in_the_test_is_named(trait: str) -> None:
    mark = MARKS[trait]
    assert shortcuts(splits(mark, lambda text, label: mark(text, 1 - label)))


@pytest.mark.parametrize("trait", MARKS)
@pytest.mark.parametrize("positive", [0.5, 0.1, 0.9])
def test_a_trait_on_which_all_agree_is_not(trait: str, positive: float) -> None:
    assert shortcuts(splits(MARKS[trait], MARKS[trait], positive)) == []


def test_texts_without_any_trait_have_none() -> None:
    for seed in range(20):
        assert shortcuts(splits(as_it_is, as_it_is, seed=seed)) == []


def test_a_trait_of_the_test_alone_takes_nobody_in() -> None:
    assert shortcuts(splits(as_it_is, MARKS["the word '#not'"])) == []


def test_a_file_in_order_hides_nothing() -> None:
    made = splits(MARKS["white space at the ends"], as_it_is)
    for name, (own, classes) in made.items():
        zero, one = ([t for t, c in zip(own, classes, strict=True) if c == k] for k in (0, 1))
        n = min(len(zero), len(one))
        rows = [t for pair in zip(zero[:n], one[:n], strict=True) for t in pair]
        made[name] = (rows, [0, 1] * n)
    assert shortcuts(made)


def test_few_texts_and_absent_classes_are_borne() -> None:
    assert shortcuts({"train": ([], []), "validation": ([], []), "test": (["a"], [0])}) == []
    one: Texts = (["a"], [0])
    assert shortcuts(dict.fromkeys(SIZES, one)) == []
    made = splits(MARKS["length"], as_it_is)
    made["test"] = (["a"] * 50, [2] * 50)
    assert shortcuts(made) == []


def test_the_demo_has_none() -> None:
    assert load_data(Data()).shortcuts == []
