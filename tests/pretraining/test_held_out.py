"""The general text that comes along is what the embedded base was not trained on."""

from pathlib import Path

import pytest

from loraexp.tools.forgetting import SHIPPED

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.slow
def test_the_general_text_is_cut_from_blocks_that_were_held_out(
    real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut anew from the pretraining's own texts and seed; another seed holds out others."""
    texts = real_data / "pretrain"
    if not texts.is_dir():
        pytest.skip(f"the pretraining's texts are not in {texts}")
    monkeypatch.syspath_prepend(BENCHMARKS)
    import held_out

    assert held_out.held_out(texts) == SHIPPED.read_text(encoding="utf-8")
    monkeypatch.setattr(held_out.Blocks, "of", staticmethod(other_seed(held_out.Blocks.of)))
    assert held_out.held_out(texts) != SHIPPED.read_text(encoding="utf-8")


def other_seed(of):  # type: ignore[no-untyped-def]
    return lambda tokens, config, seed: of(tokens, config, seed + 1)
