"""Texts of no class (data.out_of_scope): which of them are scored, and what is said of them."""

from loraexp.config.schema import Data
from loraexp.data.draws import within_limit
from loraexp.data.labels import short
from loraexp.data.sources import Source
from loraexp.errors import UserError

DRAW = 5  # of data.limit's; 0 to 4 are those of the splits and of train texts


def to_score(source: Source, config: Data, whole: bool = False) -> tuple[list[str], str]:
    """The texts and a remark on them; none where the source has set none aside. Of a source with a
    split of its own those of test: of the others nothing is learnt either, but results elsewhere
    are of those.

    Args:
        whole: all of them.

    Raises:
        UserError: a source with a split that has none of them in test.
    """
    frame = source.out_of_scope
    if frame is None:
        return [], ""
    found, of = len(frame), ""
    if "split" in frame and not whole:
        frame, of = frame[frame["split"] == "test"], " of test"
        if frame.empty:
            raise UserError(f"data.out_of_scope={config.out_of_scope}: no test text has that label")
    texts = list((frame.drop_duplicates("text") if config.dedupe else frame)["text"])
    places = within_limit([0] * len(texts), config, DRAW)
    texts = texts if places is None else [texts[at] for at in places]
    label = short(str(config.out_of_scope))
    scored = f"{len(texts):,}{of} are scored, none trains"
    return texts, f"{found:,} texts {label} are of no class: {scored}"


def known(texts: list[str], source: Source) -> list[str]:
    """A caution where some of them stand under the label of a class, too."""
    labelled = {*source.frame["text"]}
    also = sum(text in labelled for text in texts)
    return [f"{also:,} of {len(texts):,} texts of no class stand under a label, too"] * (also > 0)
