"""Runs made before there were keys of today: they keep their names and are read as they were."""

from pathlib import Path

import pytest

from loraexp.api import configure, run_folder
from loraexp.config import stored
from loraexp.config.schema import TrainConfig
from loraexp.config.stored import completed, from_dict, plain
from loraexp.records.record import read_record
from loraexp.runs.load import read_config
from loraexp.runs.naming import run_name
from loraexp.tools.verification import verify
from loraexp.training.measure import measure_again

BEFORE = Path(__file__).parent / "before"
RUNS = sorted(path.name for path in (BEFORE / "train").iterdir())


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder where they were trained: the path of their data is relative."""
    monkeypatch.chdir(BEFORE)


@pytest.mark.parametrize("name", RUNS)
def test_its_config_still_gives_its_name(name: str) -> None:
    record = read_record(BEFORE / "train" / name)
    config = read_config({"config": record.config, "precision": "fp32"}, Path(name))
    # Their data was read as it was then; today's defaults give the same name.
    config.data.quoting, config.data.strip, config.data.limit_by = "auto", True, "stratified"
    assert run_name(config) == name
    config.data.header = False
    assert run_name(config) != name


def test_a_key_that_is_missing_has_the_meaning_it_had() -> None:
    old = completed({"data": {"path": "x.tsv"}, "trainer": {}})
    assert old["data"]["strip"] is False
    assert old["data"]["quoting"] == "double"
    assert completed({"data": {"strip": True}})["data"]["strip"] is True


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.usefixtures("there")
def test_it_verifies_and_measures_as_before(name: str) -> None:
    run = Path("train") / name
    assert [check.field for check in verify(run) if check.off] == []
    then, again = read_record(run).metrics["test"], measure_again(run, "test")
    assert {key: again[key] for key in then} == then


def test_a_plain_run_is_called_as_before(tmp_path: Path) -> None:
    config = configure("data=sms_demo", f"output_dir={tmp_path}")
    assert run_folder(config) == tmp_path / "train" / "sms_demo-nano-lora-r8-seed0-ca3afdf7"


@pytest.mark.parametrize("key", ["trainer.accumulate", "adalora.budget"])
def test_a_key_that_comes_later_breaks_nothing(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = configure("method=adalora")
    content, (group, _, last) = plain(config), key.rpartition(".")
    del content[group][last]
    with pytest.raises(TypeError, match="keys differ"):  # the control: it was there from the first
        from_dict(TrainConfig, content)
    # As if it had just been added to the schema: records without it are read, and where it stands
    # at its default, runs are called as if it was not there.
    monkeypatch.setattr(stored, "FIRST", stored.FIRST - {key})
    monkeypatch.setattr(stored, "late_fields", stored.late_fields.__wrapped__)  # it is remembered
    assert from_dict(TrainConfig, content) == config
    name = run_name(config)
    monkeypatch.setitem(stored.BEFORE, key, 0.25)
    assert getattr(getattr(from_dict(TrainConfig, content), group), last) == 0.25
    setattr(getattr(config, group), last, 3)
    assert run_name(config) != name
