"""Which networks and losses have compiled code."""

from __future__ import annotations

from dataclasses import replace

from engine.backends.fused.layout import Layout, fused_layout
from engine.networks.cnn import CnnNetwork, DenseLayer
from engine.networks.linear import LinearNetwork
from engine.networks.mlp import MlpNetwork


def test_what_is_covered() -> None:
    mlp = MlpNetwork(
        kind="mlp", sizes=(1, 4, 1), activation="tanh", bias=False, output_activation="sigmoid"
    )
    assert fused_layout(mlp, "l1") == Layout((1, 4, 1), False, "tanh", "sigmoid", "l1")
    linear = LinearNetwork(kind="linear", sizes=(3, 5, 2))
    expected = Layout((3, 5, 2), False, "identity", "identity", "mse")
    assert fused_layout(linear, "mse") == expected
    assert expected.parameter_count == 25
    assert replace(expected, bias=True).parameter_count == 32
    assert fused_layout(mlp, object()) is None
    dense = DenseLayer(kind="dense", units=3)
    cnn = CnnNetwork(kind="cnn", input=(1, 4, 4), layers=(dense,), outputs=2)
    assert fused_layout(cnn, "mse") is None
