"""Shapes written down equal those of the network."""

from dataclasses import replace

import pytest

from loraexp.adapters.inject import linear_names
from loraexp.config.schema import Head, Model
from loraexp.model.classifier import empty_classifier
from loraexp.model.shapes import linear_shapes, shapes


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("classes", [2, 77])
def test_shapes_are_those_of_the_networks_tensors(tiny: Model, bias: bool, classes: int) -> None:
    head = Head(bias=bias)
    network = empty_classifier(tiny, head, classes)
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert shapes(tiny, head, classes) == wanted
    assert shapes(replace(tiny, n_layer=3), head, classes) != wanted


def test_linear_layers_are_those_a_method_may_adapt_in_model_order(tiny: Model) -> None:
    assert list(linear_shapes(tiny)) == linear_names(empty_classifier(tiny, Head(), 2))
