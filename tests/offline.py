"""What the client of Weights & Biases keeps of a run without a connection."""

import struct
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def records_of(file: Path) -> dict[str, list[Any]]:
    """The records the client wrote, by kind."""
    from wandb.proto import wandb_internal_pb2 as pb

    found = defaultdict(list)
    for data in log_records(file.read_bytes()):
        record = pb.Record()
        record.ParseFromString(data)
        if kind := record.WhichOneof("record_type"):
            found[kind].append(getattr(record, kind))
    return found


def log_records(content: bytes) -> Iterator[bytes]:
    """The payloads of a LevelDB-style log: blocks of 32 KiB, chunks of crc, length, type, data."""
    position, parts = 7, b""  # a header of seven bytes
    while position + 7 <= len(content):
        if 32768 - position % 32768 < 7:  # the rest of a block is padding
            position += 32768 - position % 32768
            continue
        length, kind = struct.unpack_from("<HB", content, position + 4)
        parts += content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # a whole record, or the last chunk of one
            yield parts
            parts = b""
