"""Texts as people may type them, those with marks of the grammars they pass through above all."""

from hypothesis import strategies as st

# Characters that mean something to Hydra's grammar or to OmegaConf, and some that do not.
MARKS = st.text(st.sampled_from("\\\"'${}[](),=:?~+-#%@! \t\naé😀"), max_size=12)
PIECES = st.lists(st.sampled_from(["\\", '"', "'", "${", "$", "}", "a", " ", ","]), max_size=8)
ANY_TEXT = st.one_of(
    MARKS, PIECES.map("".join), st.text(st.characters(exclude_categories=["Cs"])), st.just("null")
).filter(lambda text: "\x00" not in text)  # no command line can hold it
