"""Libraries that say less: what they would print, our own one line says."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quieted(*loggers: logging.Logger, level: int = logging.WARNING) -> Iterator[None]:
    """These loggers pass on nothing below `level`."""
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, own in zip(loggers, before, strict=True):
            logger.setLevel(own)
