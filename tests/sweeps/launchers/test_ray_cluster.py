"""A Ray cluster of two nodes on this machine: what is killed of it changes no result."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from in_process import TINY
from offline import records_of

from loraexp.runs.run_folder import RunFolder

pytest.importorskip("ray", reason="pip install 'ray>=2.55' (80 MB), as make test-slow does it")
pytestmark = pytest.mark.slow
GRID = ("lora.rank=1,2", "seed=0,1,2", "trainer.max_epochs=30", "lora.dropout=0.1", "-m")
RAY = [sys.executable, "-m", "ray.scripts.scripts", "start", "--disable-usage-stats"]
HERE = {"OMP_NUM_THREADS": "1", "RAY_AUTH_TOKEN": "of-this-test-and-of-nothing-else-at-all"}


@dataclass(frozen=True)
class Cluster:
    """Nodes of a core each. They work in a folder of their own, not where a sweep is typed."""

    folder: Path
    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, *words: str) -> list[int]:
        """Returns the raylet of the node."""
        before = self.raylets()
        subprocess.run(
            [*RAY, "--num-cpus=1", "--node-ip-address=127.0.0.1", *words],
            cwd=self.folder,
            env={**os.environ, **HERE, "RAY_AUTH_MODE": "token", "HOME": str(self.folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=120,
            check=True,
        )
        return [pid for pid in self.raylets() if pid not in before]

    def processes(self) -> list[int]:
        return found(lambda words: str(self.folder) in words)

    def raylets(self) -> list[int]:
        return found(lambda words: "raylet/raylet" in words and str(self.folder) in words)

    def train(self, folder: Path, *words: str) -> "subprocess.Popen[str]":
        return loraexp(folder, "train", *TINY, *GRID, *words, *self.launcher)

    @property
    def launcher(self) -> tuple[str, str]:
        return "launcher=ray", f"launcher.address={self.address}"


def found(fits: Callable[[str], bool]) -> list[int]:
    """Processes whose command line fits."""
    pids = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if fits(words):
            pids.append(int(entry.parent.name))
    return pids


def children(parent: int) -> list[int]:
    try:
        text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    except OSError:
        return []
    return [*map(int, text.split())]


def at_work(raylet: int) -> list[int]:
    """Processes of a node that do a pack."""
    title = b"ray::work_through"
    pids = []
    for pid in children(raylet):
        try:
            pids += [pid] if title in Path(f"/proc/{pid}/cmdline").read_bytes() else []
        except OSError:
            continue
    return pids


def kill(*pids: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = Cluster(Path(tempfile.mkdtemp(prefix="ray-")), port)  # a short name: it has sockets
    try:
        head = ("--head", f"--port={port}", f"--temp-dir={own.folder}", "--include-dashboard=false")
        own.start(*head)
        yield own
    finally:
        workers = [pid for raylet in own.raylets() for pid in children(raylet)]
        kill(*own.processes(), *workers)
        shutil.rmtree(own.folder, ignore_errors=True)


@pytest.fixture
def second(cluster: Cluster) -> Iterator[int]:
    """The raylet of one more node."""
    (raylet,) = cluster.start(f"--address={cluster.address}")
    yield raylet
    kill(raylet, *children(raylet))


def loraexp(folder: Path, *words: str) -> "subprocess.Popen[str]":
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "loraexp", *words],
        cwd=folder,
        env={**os.environ, **HERE, "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(process: "subprocess.Popen[str]", status: int = 0) -> str:
    """What it says beside its table: nothing of it is Ray's."""
    _, err = process.communicate(timeout=300)
    assert process.returncode == status, err
    assert not re.search(r"^(\[|\(|\d{4}-)|Warning|Traceback|raylet|gcs|dashboard", err, re.M), err
    return err


def until(holds: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    """Goes on as soon as it holds; the sweep that it is of must not have ended before."""
    while not holds():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def table(folder: Path) -> str:
    """Of all runs, without what times and places differ in."""
    process = loraexp(folder, "table", "format=csv", "by=[lora.rank]")
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    return out


def adapters(folder: Path) -> dict[str, tuple[str, int | None]]:
    """Of each run the hash of what it trained, and the threads it had."""
    records = [RunFolder(run).record() for run in (folder / "outputs" / "train").iterdir()]
    return {record.name: (record.hashes["adapter"], record.threads) for record in records}


def checkpoints(folder: Path) -> list[Path]:
    return [*folder.glob("outputs/train/*/checkpoints/last.ckpt")]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("here")
    done(loraexp(folder, "train", *TINY, *GRID, "workers=1", "pack.width=1"))
    return folder


def test_a_node_that_is_gone_takes_no_result_with_it(
    cluster: Cluster, second: int, undisturbed: Path, tmp_path: Path
) -> None:
    process = cluster.train(tmp_path)
    until(lambda: checkpoints(tmp_path) and at_work(second), process)
    workers = children(second)
    kill(second, *workers)
    done(process)
    assert adapters(tmp_path) == adapters(undisturbed)
    assert table(tmp_path) == table(undisturbed)


def test_a_process_that_is_gone_and_ctrl_c(
    cluster: Cluster, undisturbed: Path, tmp_path: Path
) -> None:
    (raylet,) = cluster.raylets()
    process = cluster.train(tmp_path)
    until(lambda: checkpoints(tmp_path) and at_work(raylet), process)
    kill(*(killed := at_work(raylet)))
    until(lambda: {*at_work(raylet)} - {*killed}, process)
    os.kill(process.pid, signal.SIGINT)
    assert "interrupted" in done(process, 130)
    assert at_work(raylet) == []
    done(cluster.train(tmp_path))
    assert adapters(tmp_path) == adapters(undisturbed)
    assert table(tmp_path) == table(undisturbed)


def test_two_who_want_the_same_runs_share_them(
    cluster: Cluster, second: int, undisturbed: Path, tmp_path: Path
) -> None:
    one, other = cluster.train(tmp_path), cluster.train(tmp_path)
    done(one)
    done(other)
    assert len([*(tmp_path / "outputs" / "sweeps").iterdir()]) == 2
    assert adapters(tmp_path) == adapters(undisturbed)
    assert table(tmp_path) == table(undisturbed)


def test_two_processes_that_train_together_in_a_task(cluster: Cluster, tmp_path: Path) -> None:
    words = [*TINY, "seed=0,1", "trainer=ddp_cpu", "trainer.max_epochs=2", "logger=wandb", "-m"]
    done(loraexp(tmp_path, "train", *words, *cluster.launcher))
    records = [RunFolder(run).record() for run in (tmp_path / "outputs" / "train").iterdir()]
    assert [record.config["trainer"]["devices"] for record in records] == [2, 2]
    (sweep,) = (tmp_path / "outputs" / "sweeps").iterdir()
    files = [*tmp_path.glob("outputs/train/*/**/offline-run-*/*.wandb")]
    (runs,) = zip(*(records_of(file)["run"][:1] for file in files), strict=True)
    assert len({run.run_id for run in runs}) == 2
    assert {run.run_group for run in runs} == {sweep.name}
