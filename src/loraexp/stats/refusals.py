"""Texts that are out of scope: told from others by how sure a model is, refused below a threshold
(the scheme "oos-threshold" of Larson et al. 2019, arXiv 1909.02027).

How sure: the largest of the probabilities of a text's labels, the baseline of Hendrycks and Gimpel
2017 (arXiv 1610.02136), who measure it, too, by the area under the ROC curve.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

KEPT = 95  # percent of the validation texts in scope, at least


def threshold_of(validation: ArrayLike) -> float:
    """The highest threshold that keeps 95 % of the validation texts: below it lie 5 % or fewer.

    Args:
        validation: (N,) how sure the model is of texts in scope, none of which it is measured on.
    """
    sure = np.sort(np.asarray(validation, np.float64))
    return float(sure[len(sure) * (100 - KEPT) // 100])


def auroc(inside: ArrayLike, outside: ArrayLike) -> float:
    """Chance that the model is surer of a text in scope than of one that is not, ties half.

    Args:
        inside, outside: (N,) and (M,), each at least 1.
    """
    ours, others = np.asarray(inside, np.float64), np.sort(np.asarray(outside, np.float64))
    below, up_to = (np.searchsorted(others, ours, side) for side in ("left", "right"))
    return float((below + up_to).mean() / 2 / len(others))


def refusals(
    threshold: float, inside: ArrayLike, right: ArrayLike, outside: ArrayLike
) -> dict[str, Any]:
    """What a record holds of test texts: a text is refused whose largest probability is below.

    Args:
        inside: (N,) of texts in scope. right: (N,) are they labelled rightly? outside: (M,)
    """
    ours, others = np.asarray(inside, np.float64), np.asarray(outside, np.float64)
    kept = ours >= threshold
    return {
        "threshold": threshold,
        "auroc": auroc(ours, others),
        "n": len(ours),
        "refused": int((~kept).sum()),
        "right": int((kept & np.asarray(right, bool)).sum()),
        "outside": len(others),
        "outside_refused": int((others < threshold).sum()),
    }
