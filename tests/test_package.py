"""The wheel holds configuration and base, nothing of the tests, and works from anywhere."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from loraexp.sweeps.plan import conf_dir

wheel_builder = pytest.importorskip(
    "hatchling.builders.wheel", reason="hatchling, the build backend, is not installed here"
)
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    (file,) = wheel_builder.WheelBuilder(str(ROOT)).build(directory=str(folder))
    return Path(file)


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    return set(ZipFile(wheel).namelist())


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    ZipFile(wheel).extractall(folder)
    return folder


def test_the_wheel_holds_every_file_of_conf(names: set[str]) -> None:
    conf = conf_dir()
    files = {f"loraexp/conf/{file.relative_to(conf).as_posix()}" for file in conf.rglob("*.yaml")}
    assert "loraexp/conf/train.yaml" in files
    assert files == {name for name in names if name.startswith("loraexp/conf/")}


def test_the_wheel_holds_every_module_and_the_license(names: set[str]) -> None:
    source = ROOT / "src"
    modules = {file.relative_to(source).as_posix() for file in source.rglob("*.py")}
    assert modules <= names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_wheel_holds_the_embedded_base(names: set[str]) -> None:
    assets = {Path(name).name for name in names if name.startswith("loraexp/assets/nano/")}
    files = {"model.safetensors", "config.json", "vocab.json", "merges.txt", "README.md"}
    assert assets == files | {"held_out.txt"}


def test_the_wheel_holds_nothing_else(names: set[str]) -> None:
    page = ("/report/report.", "/report/chart.css")
    known = ("/conf/", "/assets/", *page, "/data/sms_demo/")
    others = {n for n in names if not n.endswith(".py") and not any(part in n for part in known)}
    assert {Path(name).parts[0].rpartition(".")[2] for name in others} == {"dist-info"}
    assert "loraexp/data/sms_demo/ham.txt" in names
    assert not {n for n in names if "test" in Path(n).name or n.startswith(("tests", "outputs"))}


def test_the_wheel_makes_a_loraexp_command(wheel: Path, names: set[str]) -> None:
    (entries,) = [name for name in names if name.endswith("entry_points.txt")]
    assert "loraexp = loraexp.cli:main" in ZipFile(wheel).read(entries).decode().splitlines()


def python(script: str, folder: Path, cwd: Path) -> str:
    start = f"import sys; sys.path.insert(0, {str(folder)!r}); {script}"
    ended = subprocess.run(
        [sys.executable, "-c", start], cwd=cwd, capture_output=True, text=True, timeout=120
    )
    assert ended.stderr == ""
    return ended.stdout.strip()


def test_an_installed_package_reads_its_own_conf(installed: Path, tmp_path: Path) -> None:
    found = python(
        "from loraexp.sweeps.plan import conf_dir; print(conf_dir())", installed, tmp_path
    )
    assert Path(found) == installed / "loraexp" / "conf"


def test_an_installed_command_runs_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    arguments = ["loraexp", "params", "models=[gpt2]", "ranks=[8]", "format=csv"]
    script = f"sys.argv = {arguments!r}; from loraexp.cli import main; main()"
    _, row = python(script, installed, tmp_path).splitlines()
    assert row.startswith(f"gpt2,lora,8,{8 * 73_728 + 2 * 768},")
    assert list(tmp_path.iterdir()) == []


def test_an_installed_package_brings_its_base(installed: Path, tmp_path: Path) -> None:
    script = (
        "from loraexp.api import configure, load_base; from loraexp.model import locate; "
        "load_base(configure(), ['ham', 'spam']); print(locate.ASSETS)"
    )
    assert Path(python(script, installed, tmp_path)) == installed / "loraexp" / "assets"
