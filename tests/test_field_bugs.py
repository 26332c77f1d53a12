"""The bugs of the field that we must not have, each with the tests that would see it here.

The numbers are those of the list the project started from; what no other file tests, this one does.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from loraexp.adapters.branches import BRANCHES
from loraexp.adapters.branches.base import Adapted
from loraexp.adapters.inject import adapter_tensors, inject, merge
from loraexp.adapters.methods import METHODS, as_method
from loraexp.adapters.targets import Target
from loraexp.config.schema import Adaptation, Head, Lora, Model
from loraexp.model.weights import load_classifier

HERE = Path(__file__).parent
BUGS = {
    1: (  # merged and unmerged logits differ
        "adapters/test_inject.py::test_merged_model_gives_the_same_logits",
        "adapters/test_branches.py::test_a_weight_is_rounded_once_when_merged",
        "tools/test_merge.py::test_every_method_merges_within_float32",
        "tools/test_peft_format.py::test_every_subset_of_targets_gives_pefts_logits_merged_or_not",
    ),
    2: (  # the head is lost, or random after loading
        "adapters/test_adapter_files.py::test_what_was_saved_is_loaded_bit_for_bit",
        "adapters/test_inject.py::test_the_adapter_is_what_requires_grad_head_included",
    ),
    3: (  # the pooled token is a pad, or a real one is taken for it
        "model/test_gpt2.py::test_pooled_states_equal_a_loop_over_the_padded_texts",
        "model/test_gpt2.py::test_a_real_token_with_the_id_of_padding_is_not_padding",
        "model/test_tokenizer.py::test_the_name_of_the_special_token_is_ordinary_text",
    ),
    4: (  # Conv1D is transposed
        "model/test_weights.py::test_a_checkpoint_loads_with_any_head_and_prefix",
        "model/test_gpt2.py::test_logits_equal_those_of_transformers",
    ),
    5: (  # adapters in half precision
        "training/test_sanity.py::test_bf16_run_keeps_its_adapter_and_head_in_float32",
        "model/test_precision.py::test_layer_norms_and_what_trains_stay_in_float32",
    ),
    6: (  # checkpointing gives no gradients, and nobody says so
        "training/test_checkpointing.py::test_gradients_are_those_without_it_and_every_tensor_moves",
        "training/test_sanity.py::test_branch_that_no_gradient_reaches_stops_the_run",
    ),
    7: (  # checkpoints hold the frozen base
        "training/test_run.py::test_checkpoints_hold_the_trainable_tensors_and_not_the_base",
    ),
    8: (  # the base is changed in place
        "adapters/test_inject.py::test_two_steps_change_the_adapter_and_nothing_else",
        "adapters/test_fold.py::test_a_thousand_cycles_give_back_every_byte",
    ),
    9: (  # missing or unexpected keys are passed over
        "adapters/test_adapter_files.py::test_tensors_that_do_not_fit_are_refused_by_name",
    ),
    10: (  # all-linear hits the head, or one of two tied matrices
        "adapters/test_targets.py::test_linears_are_the_six_of_each_block_and_never_the_head",
        "test_field_bugs.py::test_all_linear_leaves_the_embedding_alone_and_there_is_no_second_one",
    ),
    11: (  # processes start from different adapters
        "adapters/test_inject.py::test_the_seed_decides_the_branches_and_the_state_of_torch_does_not",
        "test_field_bugs.py::test_another_process_draws_the_same_adapter",
    ),
    12: (  # jobs of a sweep overwrite each other, or are one run
        "training/test_run.py::test_run_folder_differs_whenever_the_result_may",
        "training/test_wandb.py::test_jobs_of_a_sweep_are_separate_runs_of_one_group",
    ),
    13: (  # another path at alpha / r == 1
        "test_field_bugs.py::test_a_scaling_of_one_runs_the_operations_of_any_other",
    ),
}


@pytest.mark.parametrize("bug", range(1, 14))
def test_every_bug_has_tests(bug: int) -> None:
    for name in BUGS[bug]:
        file, _, test = name.partition("::")
        assert f"\ndef {test}(" in (HERE / file).read_text(encoding="utf-8"), name


def test_all_linear_leaves_the_embedding_alone_and_there_is_no_second_one(tiny: Model) -> None:
    network = load_classifier(tiny, Head(), 2, seed=0)
    storages = [tensor.data_ptr() for tensor in network.state_dict().values()]
    assert len({*storages}) == len(storages)  # nothing is tied
    assert not any("lm_head" in name for name in network.state_dict())
    wte = network.wte.weight.detach().clone()
    inject(network, Adaptation(lora=Lora(target_modules=["all-linear"])), seed=0)
    trained = adapter_tensors(network)
    with torch.no_grad():
        for tensor in trained.values():
            tensor += 0.1
    assert sum(isinstance(module, Adapted) for module in network.modules()) == 6 * tiny.n_layer
    assert not isinstance(network.score, Adapted)
    assert not any("wte" in name for name in trained)
    assert torch.equal(merge(network).wte.weight, wte)


DRAW = """
import torch
from loraexp.runtime.tensors import tensors_hash
from loraexp.adapters.inject import inject, saved_tensors
from loraexp.config.schema import Adaptation, Head, Model
from loraexp.model.weights import load_classifier

torch.manual_seed({state})
sizes = dict(n_layer=1, n_head=2, d_model=16, context=8, vocab_size=257)
network = load_classifier(Model("tiny", "random", "bytes", **sizes), Head(), 2, seed=3)
print(tensors_hash(saved_tensors(inject(network, Adaptation(), seed={seed}))))
"""


def test_another_process_draws_the_same_adapter(capsys: pytest.CaptureFixture[str]) -> None:
    """As DDP's ranks are: other processes, with another state of torch's generator."""
    there = subprocess.run(
        [sys.executable, "-c", DRAW.format(state=5, seed=1)],
        env={**os.environ, "LOCAL_RANK": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = {}
    for seed in (1, 2):
        exec(DRAW.format(state=9, seed=seed), {})
        found[seed] = capsys.readouterr().out
    assert there == found[1] != found[2]


class Operations(TorchDispatchMode):
    """Names of the operations that run."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.seen.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("method", [name for name, row in METHODS.items() if row.branch])
def test_a_scaling_of_one_runs_the_operations_of_any_other(method: str) -> None:
    def operations(alpha: float) -> list[str]:
        base = nn.Linear(8, 5).requires_grad_(False)
        config = as_method(Adaptation(lora=Lora(rank=4, alpha=alpha)), method)
        kind = BRANCHES[METHODS[method].branch or ""]
        target = Target("proj", 4, alpha)
        layer = Adapted(base, kind.create(base, config, target, torch.Generator()))
        x: Tensor = torch.ones(3, 8)
        with Operations() as mode:
            layer(x).sum().backward()
            layer.branch.merged(base.weight)
        return mode.seen

    one = operations(4.0)  # alpha / r is 1
    assert one == operations(8.0) == operations(2.0)  # and for rslora 2, 4 and 1
    assert len(one) > 5
