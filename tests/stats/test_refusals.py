"""A threshold keeps what it says, and AUROC is what others compute."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.classification import binary_auroc

from loraexp.stats.refusals import auroc, refusals, threshold_of

# Few values, so that there are ties.
SURE = st.lists(st.sampled_from([0.25, 0.5, 0.625, 0.75, 1.0]), min_size=1, max_size=90)


@given(validation=SURE)
def test_at_least_95_percent_are_kept_and_by_no_higher_threshold(validation: list[float]) -> None:
    threshold = threshold_of(validation)
    refused = sum(sure < threshold for sure in validation)
    assert 20 * refused <= len(validation)
    above = np.nextafter(threshold, 2)
    assert 20 * sum(sure < above for sure in validation) > len(validation)


@pytest.mark.parametrize(("n", "place"), [(1, 0), (19, 0), (20, 1), (30, 1), (39, 1), (40, 2)])
def test_which_of_n_it_is(n: int, place: int) -> None:
    assert threshold_of([*range(n)][::-1]) == place


@given(inside=SURE, outside=SURE)
def test_auroc_is_that_of_torchmetrics(inside: list[float], outside: list[float]) -> None:
    target = torch.tensor([1] * len(inside) + [0] * len(outside))
    oracle = float(binary_auroc(torch.tensor([*inside, *outside]), target))
    assert auroc(inside, outside) == pytest.approx(oracle, abs=1e-6)
    assert auroc(outside, inside) == pytest.approx(1 - oracle, abs=1e-6)


def test_numbers_that_know_nothing_of_scope_give_a_half() -> None:
    draw = np.random.default_rng(0)
    assert auroc(draw.random(2000), draw.random(2000)) == pytest.approx(0.5, abs=0.02)
    assert auroc(draw.random(2000) + 0.5, draw.random(2000)) > 0.8  # the control: these do


def test_a_text_is_counted_once() -> None:
    found = refusals(0.5, [0.4, 0.5, 0.9, 0.9], [True, True, False, True], [0.1, 0.5, 0.3])
    counts = {name: found[name] for name in ("n", "refused", "right", "outside", "outside_refused")}
    assert counts == {"n": 4, "refused": 1, "right": 2, "outside": 3, "outside_refused": 2}
