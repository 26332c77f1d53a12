"""Nodes and weights of Gauss and Legendre's quadrature over [-1, 1], computed once."""

from functools import cache

import numpy as np
from numpy.typing import NDArray


@cache
def legendre(nodes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two arrays of (nodes,): where, and with which weight; the weights sum to 2."""
    return np.polynomial.legendre.leggauss(nodes)
