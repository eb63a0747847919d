"""The tests of a module of the engine are where one looks for them.

Those of `engine/path/chain.py` are in `tests/engine/path/test_chain.py`, and may go on in files
whose names go on, such as `test_chain_trace.py`; those of a package's `__init__.py` are in the
package's folder, in `test_PACKAGE.py`. What departs from that is listed here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"

#: Modules whose tests are in another module's file, because they are tested by what they do there.
ELSEWHERE = {
    "__main__": "run/test_session",
    "alignment/forward": "alignment/test_align",
    "backends/backend": "problem/test_problem",
    "backends/fused/backend": "backends/fused/test_problem",
    "backends/fused/kernels": "backends/test_disk_cache",
    "backends/fused/rules": "backends/fused/test_problem",
    "backends/fused/kernels/arrays": "backends/fused/test_problem",
    "backends/fused/kernels/calls": "backends/fused/test_problem",
    "backends/fused/kernels/judging": "steps/test_judge",
    "backends/fused/kernels/layers": "backends/fused/test_problem",
    "backends/fused/kernels/optimizers": "backends/fused/test_problem",
    "backends/fused/kernels/passes": "backends/fused/test_problem",
    "backends/fused/kernels/products": "backends/fused/test_problem",
    "backends/fused/kernels/tethers": "steps/test_tethers",
    "backends/in_place": "training/test_trainer",
    "backends/torch_step": "steps/test_practice",
    "backends/models": "problem/test_problem",
    "backends/torch_backend": "problem/test_problem_memory",
    "backends/vmapped": "problem/test_problem",
    "backends/triton_rounds/arrays": "backends/triton_rounds/test_problem",
    "backends/triton_rounds/kernels/calls": "backends/triton_rounds/test_problem",
    "backends/triton_rounds/kernels/compiling": "backends/triton_rounds/test_problem",
    "backends/triton_rounds/kernels/judging": "backends/triton_rounds/test_problem",
    "backends/triton_rounds/kernels/layers": "backends/triton_rounds/test_problem",
    "backends/triton_rounds/kernels/optimizers": "backends/triton_rounds/test_problem",
    "backends/triton_rounds/kernels/passes": "backends/triton_rounds/test_problem",
    "bench/__main__": "bench/test_suite",
    "breaks": "run/test_session_broken_off",
    "data/custom": "networks/test_custom",
    "cache": "backends/test_disk_cache",
    "data/array_samples": "data/test_arrays",
    "data/cifar_batches": "data/test_cifar",
    "data/decoded_images": "data/test_image_folder",
    "data/images": "data/test_idx",
    "data/pickled_arrays": "data/test_cifar",
    "data/survey": "data/test_idx",
    "doctor/__main__": "doctor/test_process",
    "doctor/samples": "doctor/test_networks",
    "doctor/searches": "doctor/test_networks",
    "inert": "problem/checkpoints/test_inert_pickle",
    "methods/detour": "methods/test_methods_blocks",
    "methods/method": "methods/test_methods",
    "methods/stage": "methods/test_methods",
    "networks/base": "networks/test_networks_registry",
    "networks/dense": "networks/test_networks",
    "networks/layout": "backends/fused/test_layout",
    "networks/linear": "networks/test_networks",
    "networks/mlp": "networks/test_networks",
    "networks/modules/cnn": "networks/test_cnn",
    "networks/modules/custom": "networks/test_custom",
    "networks/modules/lent": "networks/test_networks",
    "networks/modules/linear": "networks/test_networks",
    "networks/modules/lstm": "networks/test_lstm",
    "networks/modules/mlp": "networks/test_networks",
    "networks/modules/units/computing": "networks/modules/units/test_found",
    "networks/modules/units/contracting": "alignment/test_matching",
    "networks/modules/units/groups": "alignment/test_relabelling",
    "networks/modules/known_steps": "networks/modules/test_tracing",
    "networks/modules/units/merging": "networks/modules/units/test_atoms",
    "networks/modules/units/normalizing": "alignment/test_matching",
    "networks/modules/units/reading": "networks/modules/units/test_found",
    "networks/modules/units/sequences": "networks/modules/units/test_atoms",
    "networks/modules/units/shaping": "networks/modules/units/test_found",
    "networks/modules/units/values": "networks/modules/units/test_found",
    "networks/modules/resnet": "networks/test_resnet",
    "networks/steps": "networks/modules/test_tracing",
    "path/certificate/bernstein": "path/certificate/test_losses",
    "path/certificate/chord": "path/certificate/test_affine",
    "path/certificate/compiled_layers": "path/certificate/test_layers",
    "path/certificate/compiled_losses": "path/certificate/test_layers",
    "path/certificate/convolution": "path/certificate/test_affine",
    "path/certificate/dense": "path/certificate/test_affine",
    "path/certificate/piecewise_linear": "path/certificate/test_affine",
    "path/certificate/pooling": "path/certificate/test_affine",
    "path/certificate/proof": "path/certificate/test_cells",
    "path/certificate/scalar": "path/certificate/test_layers",
    "path/certificate/sigmoid": "path/certificate/test_affine",
    "path/certificate/twins": "path/certificate/test_compiled",
    "problem/samples": "problem/test_problem_memory",
    "quantities/base": "quantities/test_quantities",
    "quantities/models": "quantities/test_sharpness",
    "quantities/outputs": "quantities/test_ensemble",
    "record/compare_tables": "run/compare/test_comparison",
    "record/components_tables": "record/test_components_folder",
    "record/components_texts": "record/test_components_folder",
    "record/decoding": "record/test_packing",
    "record/findings": "record/test_events",
    "record/lines": "record/test_reading",
    "record/marks": "record/test_packing",
    "record/plans": "record/test_compare_folder",
    "record/rundir": "record/test_finding",
    "record/figures/depths": "record/figures/test_kinds",
    "record/figures/disconnectivity": "record/figures/test_kinds",
    "record/figures/levels": "record/figures/test_kinds",
    "record/figures/methods": "record/figures/test_kinds",
    "record/figures/path": "record/figures/test_kinds",
    "record/figures/plane": "record/figures/test_kinds",
    "record/figures/quantities": "record/figures/test_kinds",
    "record/figures/source": "record/figures/test_kinds",
    "record/figures/string": "record/figures/test_kinds",
    "record/ownership": "record/test_commands",
    "record/run_owners": "record/test_commands",
    "record/signals": "run/test_session",
    "record/sweep_desk": "record/test_sweeps",
    "record/sweep_folder": "run/test_sweep",
    "record/sweep_state": "record/test_sweeps",
    "run/attention": "run/test_session_broken_off",
    "run/choosing": "run/choosing/test_backend",
    "run/choosing/fastest": "run/choosing/test_backend",
    "run/choosing/making": "run/choosing/test_backend",
    "run/choosing/possible": "run/choosing/test_backend",
    "run/batched": "run/test_sweep",
    "run/cells": "run/test_sweep",
    "run/cluster/errand": "run/cluster/test_crew",
    "run/crew": "run/test_sweep",
    "run/crews": "run/cluster/test_dask",
    "run/components/library": "run/components/test_components",
    "run/components/models": "run/components/test_components",
    "run/folder_of_runs": "run/test_sweep",
    "run/job": "run/test_session",
    "run/old_checkpoints": "run/test_checkpoint",
    "run/outside": "run/test_loop",
    "run/stopwatch": "run/test_loop",
    "run/plain_torch": "run/test_mirror",
    "run/prepare": "run/test_mirror",
    "run/searching": "run/cluster/test_crew",
    "run/suspects": "run/test_mirror",
    "run/tasks": "run/cluster/test_crew",
    "spec/augment": "problem/test_augment",
    "spec/checks": "problem/test_problem",
    "spec/ends": "run/compare/test_comparison",
    "spec/problem": "spec/test_keys",
    "spec/search": "spec/test_keys",
    "spec/training": "spec/test_stages",
    "steps/linear_map": "training/test_trainer",
    "steps/optimizers": "steps/test_descent",
    "steps/recipe": "training/test_trainer",
}

#: Modules without a line that could be wrong.
NOTHING_TO_TEST = {
    "errors": "exceptions that hold what they are given",
    "shapes": "names of axes for annotations; what uses them is checked while the tests run",
    "version": "a number",
}

#: Test files that belong to no one module.
OF_SEVERAL = {
    "test_library": "what `import engine` offers",
    "backends/test_gpu": "whole searches on real or acted GPUs",
}


def modules() -> set[str]:
    """Returns the engine's modules that hold code, a package by the name of its folder."""
    engine = ROOT / "engine"
    return {
        str(path.parent if path.name == "__init__.py" else path.with_suffix(""))
        for path in (found.relative_to(engine) for found in engine.rglob("*.py"))
        if path.name != "__init__.py" or holds_code(engine / path)
    } - {"."}


def holds_code(path: Path) -> bool:
    """Returns whether a file holds more than a docstring."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return any(not isinstance(node, ast.Expr) for node in body)


def files_of_tests() -> set[str]:
    below = TESTS / "engine"
    return {str(path.relative_to(below).with_suffix("")) for path in below.rglob("test_*.py")}


def places(module: str, files: set[str]) -> set[str]:
    """Returns the test files that bear a module's name."""
    path = Path(module)
    is_package = (ROOT / "engine" / module).is_dir()
    own = str((path if is_package else path.parent) / f"test_{path.name}")
    return {file for file in files if file == own or file.startswith(f"{own}_")}


def test_every_module_has_its_tests() -> None:
    files = files_of_tests()
    without = {module for module in modules() if not places(module, files)}
    listed = ELSEWHERE.keys() | NOTHING_TO_TEST.keys()
    assert without - listed == set(), "give these a test file, or say in ELSEWHERE which it is"
    assert listed - without == set(), "these have a test file of their own, or are gone"
    assert set(ELSEWHERE.values()) - files == set(), "there are no such test files"


def test_every_test_file_has_its_module() -> None:
    files = files_of_tests()
    known = set[str]().union(*(places(module, files) for module in modules()))
    others = files - known
    assert others - OF_SEVERAL.keys() == set(), "call these by the name of the module they test"
    assert OF_SEVERAL.keys() - others == set(), "these are called by a module's name, or are gone"


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path.name} imports by a relative name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_test_imports_another() -> None:
    """What several share is in tests/support."""
    borrowed = {
        (str(path.relative_to(TESTS)), name)
        for path in TESTS.rglob("*.py")
        for name in imported(path)
        if name.split(".")[0] == "tests" and not f"{name}.".startswith("tests.support.")
    }
    assert borrowed == set()
