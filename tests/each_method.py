"""Methods for tests that would take the quick suite too long for every one of them."""

from collections.abc import Iterable
from typing import Any

import pytest

from loraexp.adapters.branches import BRANCHES
from loraexp.adapters.methods import METHODS


def each_method(names: Iterable[str] = METHODS) -> list[Any]:
    """All; slow are those whose branch computes an output, and does between steps, what that of an
    earlier one does."""
    seen, found = set(), []
    for name in names:
        kind = BRANCHES.get(METHODS[name].branch or "")
        how = (kind.forward, kind.controller.__func__) if kind else name  # type: ignore[attr-defined]
        found.append(pytest.param(name, marks=[pytest.mark.slow] * (how in seen)))
        seen.add(how)
    return found
