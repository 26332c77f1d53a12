"""A sweep's configs that are put together of parts: the same as those that Hydra composes whole."""

from collections.abc import Iterator

import pytest
from hydra.core.global_hydra import GlobalHydra

from loraexp.errors import UserError
from loraexp.sweeps import grid_configs
from loraexp.sweeps.grid_configs import Frame
from loraexp.sweeps.plan import TRAIN, plan

GRIDS = [
    "lora.rank=1,2 seed=range(3) optim.lr=1e-3,3e-3",
    "method=lora,dora,head lora.alpha=1,2.5 lora.init=kaiming",
    "data.limit=null,4 name=a,1e5,null head.bias=true,false",
    "lora.target_modules=[v_proj],[all-linear] lora.rank_pattern={v_proj:4} seed=1,2",
    "lora.rank_pattern={v_proj:4},{q_proj:2} seed=1,2",
    "model.name=x,y data.path=a.csv,'b,c.csv' data=csv",
    "trainer.max_epochs=${last_block.n},2 last_block.n=1,2",
    "trainer.max_epochs=${last_block.n} last_block.n=1,2",
]
FAULTS = [
    "lora.rank=1,2,zero seed=1,2",
    "lora.rank=1,0 seed=1,2",
    "seed=1,2,-1 optim.lr=1e-3,0.01",
    "head.bias=true,maybe",
    "model=gpt2,nano model.n_head=4,5",
    "tune.most=3,4",
    "trainer.max_epochs=1,null",
]


@pytest.fixture(autouse=True)
def no_hydra() -> Iterator[None]:
    GlobalHydra.instance().clear()
    yield
    GlobalHydra.instance().clear()


def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Frame, "with_values", lambda self, own: None)


@pytest.mark.parametrize("grid", GRIDS)
def test_jobs_are_what_hydra_composes_of_each(grid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [*grid.split(), "-m"]
    parts = plan(TRAIN, words).jobs
    whole(monkeypatch)
    assert parts == plan(TRAIN, words).jobs
    assert len({*map(repr, parts)}) > 1


@pytest.mark.parametrize("grid", FAULTS)
def test_a_mistake_is_told_in_the_same_words(grid: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [*grid.split(), "-m"]
    with pytest.raises(UserError) as parts:
        plan(TRAIN, words)
    whole(monkeypatch)
    with pytest.raises(UserError) as one_by_one:
        plan(TRAIN, words)
    assert str(parts.value) == str(one_by_one.value)


def test_hydra_composes_once_for_each_option_of_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    made, compose = [], grid_configs.composed
    monkeypatch.setattr(
        grid_configs, "composed", lambda verb, job: made.append(job) or compose(verb, job)
    )
    plan(TRAIN, ["method=lora,head", "seed=range(20)", "lora.rank=1,2,4", "-m"])
    assert len(made) == 2


def test_no_two_jobs_share_a_list() -> None:
    one, other = plan(TRAIN, ["lora.target_modules=[q_proj],[k_proj]", "seed=1,2", "-m"]).jobs[:2]
    assert one.lora.target_modules == other.lora.target_modules
    assert one.lora.target_modules is not other.lora.target_modules
