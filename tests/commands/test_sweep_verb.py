"""`sweep status`, resume and cancel: of a sweep that was left alone."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from in_process import command, train

from loraexp.errors import UserError
from loraexp.runs.run_folder import RunFolder
from loraexp.sweeps.driving import Driver, driven
from loraexp.sweeps.sweep_folder import Sweep

GRID = ["lora.rank=1,2", "trainer.max_epochs=1", "-m"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with outputs/ of one sweep of two runs."""
    folder = tmp_path_factory.mktemp("swept")
    status, _, said = train(folder, *GRID)
    assert status == 0, said
    return folder


def folder_of(swept: Path) -> Path:
    (folder,) = (swept / "outputs" / "sweeps").iterdir()
    return folder


def test_status_has_the_count_and_the_table(swept: Path) -> None:
    status, out, _ = command(swept, "sweep", "status")
    assert status == 0
    assert "2 of 2 runs finished" in out.splitlines()[0]
    assert "trainable" in out
    assert "nobody" not in out


def test_what_is_missing_is_said_and_resumed(swept: Path) -> None:
    """A sweep whose second run is gone goes on in its own folder."""
    folder = folder_of(swept)
    second = Sweep(folder).planned()[1]
    before = json.loads((second / "record.json").read_text())
    (second / "record.json").unlink()
    _, out, _ = command(swept, "sweep", f"sweep={folder}")
    assert "1 of 2 runs finished, 1 to come" in out
    assert "nobody drives it" in out
    status, _, _ = command(swept, "sweep", "resume")
    assert status == 0
    assert [folder] == [*(swept / "outputs" / "sweeps").iterdir()]
    after = json.loads((second / "record.json").read_text())
    assert after["hashes"] == before["hashes"]


def test_it_has_one_driver(swept: Path) -> None:
    folder = folder_of(swept)
    with driven(folder):
        assert Driver.of(folder) == Driver(socket.gethostname(), os.getpid())
        with (
            pytest.raises(UserError, match=f"process {os.getpid()} of .* drives it"),
            driven(folder),
        ):
            pass
        status, _, said = command(swept, "sweep", "resume")
        assert status == 2
        assert "drives it" in said
    assert Driver.of(folder) is None


def test_a_driver_that_was_killed_is_none(swept: Path) -> None:
    folder = folder_of(swept)
    (folder / "driver.json").write_text(json.dumps({"host": socket.gethostname(), "pid": 2**22}))
    assert Driver.of(folder) is None
    with driven(folder):
        assert Driver.of(folder) is not None


def test_one_that_starts_is_there_as_long_as_it_lives(swept: Path) -> None:
    folder = folder_of(swept)
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=-1)
    Driver(socket.gethostname(), process.pid, starts=True).write(folder)
    assert Driver.of(folder) is not None
    process.communicate()
    assert Driver.of(folder) is None


def test_of_another_machine_only_what_it_wrote_is_known(swept: Path) -> None:
    folder = folder_of(swept)
    (folder / "driver.json").write_text(json.dumps({"host": "elsewhere", "pid": 1}))
    try:
        assert Driver.of(folder) == Driver("elsewhere", 1)
        status, _, said = command(swept, "sweep", "cancel")
        assert (status, "cancel it on that machine" in said) == (2, True)
    finally:
        (folder / "driver.json").unlink()


def test_cancel_tells_the_driver(swept: Path) -> None:
    """A process of the test stands in: it holds the sweep, and ends as it is told."""
    folder = folder_of(swept)
    holds = (
        "import sys\nfrom pathlib import Path\nfrom loraexp.sweeps.driving import driven\n"
        "with driven(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    held = subprocess.Popen(
        [sys.executable, "-c", holds, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with held:
        assert held.stdout is not None
        assert held.stdout.readline() == "held\n"
        status, _, _ = command(swept, "sweep", "cancel")
        assert status == 0
        assert held.wait() == -signal.SIGTERM


def test_what_nobody_has_is_not_cancelled(swept: Path) -> None:
    status, _, said = command(swept, "sweep", "cancel")
    assert status == 0
    assert "nobody drives it" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sweep", "stop"), "unknown action 'stop'; known: cancel, resume, status"),
        (("sweep", "sweep=nowhere"), "sweep=nowhere: no such folder"),
        (("sweep", "output_dir=elsewhere"), "no sweep below elsewhere"),
        (("sweep", "sweep=outputs/train"), "no sweep's folder, plan.txt is missing"),
        (("sweep", "resume", "sweep=outputs/train"), "does not say what was typed"),
    ],
)
def test_a_mistake_is_one_line(swept: Path, words: tuple[str, ...], said: str) -> None:
    status, _, error = command(swept, *words)
    assert status == 2
    assert said in error
    assert error.count("\n") == 1


def test_it_is_resumed_from_where_it_was_typed(swept: Path, tmp_path: Path) -> None:
    status, _, error = command(tmp_path, "sweep", "resume", f"sweep={folder_of(swept)}")
    assert status == 2
    assert f"typed in {swept}" in error
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["launcher=slurm", "workers=2"], "workers=2 is for launcher=local"),
        (["launcher=slurm", "hydra/launcher=basic"], "launcher=slurm: leave out what is Hydra's"),
        (["launcher=kubernetes"], "ray"),
    ],
)
def test_a_launcher_that_cannot_be_is_refused(tmp_path: Path, typed: list[str], said: str) -> None:
    status, _, error = train(tmp_path, *GRID, *typed)
    assert status == 2
    assert said in error


def test_a_package_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loraexp.sweeps.launchers.crew.find_spec", lambda name: None)
    status, _, error = train(tmp_path, *GRID, "launcher=slurm")
    assert status == 2
    assert "launcher=slurm needs submitit: pip install 'loraexp[slurm]'" in error
    assert not RunFolder(tmp_path / "outputs").path.exists()


def test_a_sweep_of_failures_says_so(tmp_path: Path) -> None:
    """Nothing is compared where nothing finished."""
    status, out, error = train(tmp_path, *GRID, "optim.lr=1e30")
    assert status == 1
    assert "2 of 2 jobs failed" in error
    (line,) = [part for part in out.split("\n\n") if part.startswith("Failed: ")]
    assert {"rank=1", "rank=2"} <= {*line.replace(":", " ").split()}  # of one reason
