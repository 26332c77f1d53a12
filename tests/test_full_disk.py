"""A disk that fills up during a sweep ends it with one line, and what is complete stays."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from loraexp.config.schema import TrainConfig
from loraexp.errors import UserError
from loraexp.records.record import Failure
from loraexp.runtime.atomic import whole
from loraexp.sweeps.jobs import disk_full_guard
from loraexp.sweeps.sweep_folder import Sweep


def test_it_says_what_is_complete_and_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep, done = Sweep(tmp_path), tmp_path / "done"
    sweep.begin(0, done)
    sweep.begin(1, tmp_path / "open")
    done.mkdir()
    (done / "record.json").touch()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("loraexp.records.record.write_whole", full)
    wanted = "^No space left on device: 1 jobs are complete .* the same command goes on from here$"
    with pytest.raises(UserError, match=wanted), disk_full_guard(sweep):
        Failure("a", {"seed": TrainConfig().seed}, "no memory", "").write(tmp_path / "open")


@contextmanager
def no_room() -> Iterator[None]:
    """Files of this process may have 100 bytes."""
    resource = pytest.importorskip("resource", reason="Windows has no limits to set")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_tensors_that_find_no_room_are_an_error_of_the_system_as_texts_are(tmp_path: Path) -> None:
    file = tmp_path / "adapter.safetensors"
    with no_room(), pytest.raises(OSError, match="File too large") as error, whole(file) as partial:
        save_file({"a": torch.zeros(1000)}, partial)
    assert (error.value.errno, error.value.filename) == (errno.EFBIG, str(file))
    assert [*tmp_path.iterdir()] == []
    with whole(file) as partial:  # the control
        save_file({"a": torch.zeros(1000)}, partial)
    assert file.stat().st_size > 4000


def test_the_error_names_the_file_that_was_wanted(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError) as error, whole(tmp_path / "folder") as partial:  # noqa: PT011
        partial.write_text("a")
    assert ".partial-" not in str(error.value.filename)
