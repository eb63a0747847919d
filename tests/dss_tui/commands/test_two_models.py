"""What commands about two models have in common."""

from __future__ import annotations

from pathlib import Path

import pytest

from dss_tui.arguments import build_parser
from dss_tui.commands.two_models import check_writable, models_of
from engine.errors import InputError
from engine.spec.keys import Spec
from engine.spec.problem import ProblemSpec

COMMANDS = (["barrier"], ["align", "--out", "c.pt"])
PARTS = ["--network", "{kind: mlp, sizes: [64, 8, 10]}", "--data", "digits"]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
def test_models_are_of_a_preset_of_parts_or_of_what_a_string_says(command: list[str]) -> None:
    def of(*words: str) -> Spec | ProblemSpec | None:
        return models_of(build_parser().parse_args([*command, "a.pt", "b.pt", *words]))

    assert of() is None
    changed = of("--preset", "digits", "--set", "problem.network.sizes=[64,8,10]")
    assert isinstance(changed, Spec)
    parts = of(*PARTS, "--loss", "cross_entropy")
    assert isinstance(parts, ProblemSpec) and parts.network == changed.problem.network
    for words, told in (
        (["--preset", "digits", *PARTS], "is what the preset says"),
        (["--set", "seed=1"], "give --preset too"),
        (PARTS, "network, data and loss go together"),
    ):
        with pytest.raises(InputError, match=told):
            of(*words)


def test_a_file_that_cannot_be_written_is_told_with_its_option(tmp_path: Path) -> None:
    check_writable(tmp_path / "a.pt", "--out", ".safetensors", ".pt")
    with pytest.raises(InputError, match=r"--out: must end in \.safetensors or \.pt"):
        check_writable(tmp_path / "a.txt", "--out", ".safetensors", ".pt")
    with pytest.raises(InputError, match="--csv: its folder does not exist"):
        check_writable(tmp_path / "no" / "a.csv", "--csv", ".csv")
