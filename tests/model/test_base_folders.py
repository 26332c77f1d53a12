"""A folder of weights says its geometry itself; what was typed and contradicts it is refused."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from small import tiny_model
from verbs import plan

from loraexp.commands.params import params_table
from loraexp.config.schema import Model
from loraexp.errors import UserError
from loraexp.model.checkpoint import save_base
from loraexp.model.tokenizer import from_bytes
from loraexp.model.weights import random_state


def folder(path: Path, model: Model) -> Path:
    """A base in Hugging Face format."""
    save_base(random_state(model), model, 256, path)
    from_bytes().save(path)
    return path


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its name has what shells, Hydra and file names mind."""
    return folder(tmp_path_factory.mktemp("bases") / "my (base), v=1", tiny_model())


def models(verb: str, *written: str) -> list[Model]:
    required = {"import": ["peft=p", "out=o"], "pretrain": ["data.text=[t]", "data.block=16"]}
    return [job.model for job in plan(verb, [*required.get(verb, []), *written]).jobs]


@pytest.mark.parametrize("verb", ["train", "params", "import", "pretrain"])
def test_geometry_tokenizer_and_name_are_the_folders(verb: str, kept: Path) -> None:
    (found,) = models(verb, f'model.weights="{kept}"')
    assert found == replace(tiny_model(), name="my-base-v-1", weights=str(kept), tokenizer="auto")
    (plain,) = models(verb, "model.weights=random")  # the control
    assert (plain.name, plain.n_layer, plain.vocab_size) == ("nano", 3, 4096)


@pytest.mark.parametrize("verb", ["train", "params", "import", "pretrain"])
@pytest.mark.parametrize(
    ("written", "words"),
    [
        (["model.n_layer=3"], "model.n_layer is 3, but .*config.json says n_layer 2"),  # nano's
        (["model.d_model=32"], "model.d_model is 32, but .*config.json says n_embd 16"),
        (["model=gpt2"], "model.n_layer is 12, but .*config.json says n_layer 2; choose the model"),
        (["model=nano"], "model.n_layer is 3, but .*config.json says n_layer 2; choose the model"),
    ],
)
def test_what_is_typed_and_contradicts_it_is_refused(
    verb: str, written: list[str], words: str, kept: Path
) -> None:
    with pytest.raises(UserError, match=words):
        models(verb, f'model.weights="{kept}"', *written)
    models(verb, f'model.weights="{kept}"', "model.n_layer=2")  # the control


def test_a_name_and_a_tokenizer_that_are_typed_stay(kept: Path) -> None:
    (found,) = models("train", f'model.weights="{kept}"', "model.name=own", "model.tokenizer=bytes")
    assert (found.name, found.tokenizer, found.n_layer) == ("own", "bytes", 2)
    (found,) = models("train", f'model.weights="{kept}"', "model.tokenizer=embedded")
    assert (found.name, found.tokenizer) == ("nano", "embedded")  # it is looked up by that name


def test_a_group_that_is_typed_keeps_its_name_but_reads_with_the_folders_tokenizer(
    tmp_path: Path,
) -> None:
    nano = Model("nano", n_layer=3, n_head=4, d_model=256, context=256, vocab_size=4096)
    (tmp_path / "own").mkdir()
    theirs = {"n_layer": 3, "n_head": 4, "n_embd": 256, "n_positions": 256, "vocab_size": 4096}
    (tmp_path / "own" / "config.json").write_text(json.dumps(theirs))
    (found,) = models("train", "model=nano", f"model.weights={tmp_path}/own")
    assert (found.name, found.tokenizer, found.n_layer) == (nano.name, "auto", nano.n_layer)


def test_a_sweep_over_folders_has_the_geometry_of_each(kept: Path, tmp_path: Path) -> None:
    deep = folder(tmp_path / "deep", replace(tiny_model(), n_layer=4))
    found = models("train", f'model.weights="{kept}",{deep},embedded', "-m")
    assert [(model.name, model.n_layer) for model in found] == [
        ("my-base-v-1", 2),
        ("deep", 4),
        ("nano", 3),
    ]
    with pytest.raises(
        UserError, match=r"model.n_layer is 2, but .*deep/config.json says n_layer 4"
    ):
        models("train", f'model.weights="{kept}",{deep}', "model.n_layer=2", "-m")


@pytest.mark.slow
def test_a_sweeps_jobs_are_run_as_they_were_planned(kept: Path, tmp_path: Path) -> None:
    folder(tmp_path / "deep", replace(tiny_model(), n_layer=4))
    typed = ["trainer.max_epochs=1", "data.limit=16", "trainer.accelerator=cpu", "logger=none"]
    command = [sys.executable, "-m", "loraexp", "train", f'model.weights="{kept}",deep', *typed]
    ended = subprocess.run(
        [*command, "-m"], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
    names = [run.name for run in (tmp_path / "outputs" / "train").iterdir()]
    assert {name.partition("-lora")[0] for name in names} == {
        "sms_demo-my-base-v-1",
        "sms_demo-deep",
    }


def test_an_experiments_geometry_counts_as_typed(kept: Path) -> None:
    with pytest.raises(UserError, match=r"model.n_layer is 12, but"):
        models("train", f'model.weights="{kept}"', "experiment=book/row10")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[]", "config.json is damaged: it is no object"),
        ("{", "config.json is damaged"),
        ("[" * 100_000, "config.json is damaged"),
        ('{"n_layer": "many"}', "model.n_layer must be at least 1, got many"),
        ('{"activation_function": "relu"}', "activation_function must be gelu_new, got relu"),
    ],
)
def test_a_config_json_that_is_none_is_one_line(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match=words):
        models("train", f"model.weights={tmp_path}")


def test_params_counts_the_folders_layers_and_no_folder_is_refused(kept: Path) -> None:
    (job,) = plan("params", [f'model.weights="{kept}"']).jobs
    (row,) = params_table(job).rows
    assert row[:2] == ["my-base-v-1", "lora"]
    assert (
        row[4] == 2 * 8 * 32 * 4 + sum(t.numel() for t in random_state(tiny_model()).values()) + 32
    )
    (job,) = plan("params", ["model.weights=nowhere"]).jobs
    with pytest.raises(UserError, match=r"model.weights=nowhere: no config.json there"):
        params_table(job)


@pytest.mark.parametrize("verb", ["train", "params", "import", "pretrain"])
def test_what_only_merge_writes_is_refused(verb: str) -> None:
    with pytest.raises(UserError, match=r"^model.weights=run is what merge writes of a folder"):
        models(verb, "model.weights=run")
    models(verb, "model.weights=./run")  # the control


def test_reading_a_folder_needs_no_torch(kept: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from loraexp.sweeps.plan import TRAIN, plan; "
        "plan(TRAIN, sys.argv[1:]); sys.exit('torch' in sys.modules)"
    )
    typed = [sys.executable, "-c", script, f'model.weights="{kept}"']
    ended = subprocess.run(typed, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_folders_name_that_is_too_long_is_one_line() -> None:
    with pytest.raises(UserError, match=r"^File name too long: aaaa"):
        plan("train", [f"model.weights={'a' * 5000}"])
    with pytest.raises(UserError, match=r"^File name too long: aaaa"):
        plan("import", [f"peft={'a' * 5000}", "out=b"])
