"""Whether ball arithmetic confirms the proof of a string, cell by cell.

`python -m benchmarks.balls digits --seed 0` connects a pair of a preset whose network is fully
connected, proves its string from the file's content, and checks each proven cell anew with
python-flint, which shares no code with the proof: a cell is confirmed where the enclosure of the
mean loss, or those of all its parts, lies at or below the bound that was claimed for it.
"""

from __future__ import annotations

import argparse
import time

import engine
from engine.problem.problem import build_problem
from engine.run.certify import certify
from tests.support.balls import Task, confirmed, layers_between


def main() -> None:
    """Connects, proves and checks one string, and prints what was confirmed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("preset")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    spec = engine.load_preset(options.preset, seed=options.seed)
    with engine.search(spec) as search:
        print(search.run().sentence)
        file = search.string()
    proofs = certify(file).proofs
    train = build_problem(spec.problem).train
    x, y = train.x.flatten(1).double().tolist(), train.y.tolist()
    network = spec.problem.network.model_dump()
    for number, proof in enumerate(proofs):
        layers = layers_between(file, number)
        task = Task(layers, network["activation"], str(spec.problem.loss), x, y)
        for cell in proof.cells:
            began = time.process_time()
            held = confirmed(task, cell.u, cell.v, cell.bound)
            print(
                f"segment {number}, [{cell.u:.6g}, {cell.v:.6g}], at most {cell.bound:.6g}: "
                f"{'confirmed' if held else 'NOT CONFIRMED'} in "
                f"{time.process_time() - began:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
