"""Shapes and numbers that a method makes of a layer's, in closed form: for the table and for the
branches."""

import math

from loraexp.adapters.targets import Target
from loraexp.errors import UserError


def factored(number: int) -> tuple[int, int]:
    """The two factors that are nearest to each other, the smaller one first: (24, 32) of 768."""
    small = next(n for n in range(math.isqrt(number), 0, -1) if number % n == 0)
    return small, number // small


def is_small(second: tuple[int, int], rank: int) -> bool:
    """Has lokr's second factor sides that rank r would not make it smaller?"""
    return rank >= max(second) / 2


def kronecker(into: int, out: int, target: Target) -> int:
    (k, rest), (m, others) = factored(out), factored(into)
    r, small = target.rank, is_small((rest, others), target.rank)
    return k * m + (rest * others if small else r * (rest + others))


def full_rank(out: int, into: int, rank: int) -> int:
    """How many matrices of rank r make one of full rank."""
    return -(-min(out, into) // rank)


def blocks(into: int, target: Target) -> int:
    """Of r inputs each.

    Raises:
        UserError: no whole number of them, or none that a rotation could turn.
    """
    if into % target.rank or target.rank == 1:
        fitting = ", ".join(str(n) for n in range(2, min(into, 64) + 1) if into % n == 0)
        raise UserError(
            f"method=oft needs a lora.rank above 1 that divides {into}, the inputs of "
            f"{target.path} ({fitting or into}), got {target.rank}"
        )
    return into // target.rank


def low_rank(into: int, out: int, target: Target) -> int:
    return target.rank * (into + out)
