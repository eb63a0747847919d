"""The counters of a run in words, for the run screen and for runs without one."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from dss_tui.viewing.words import clock, thousands

#: Beads in training that are listed one by one.
LISTED = 8

STATE_STYLES = {
    "connected": "bold green",
    "running": "bold cyan",
    "starting": "bold cyan",
    "paused": "bold yellow",
}


def words(progress: dict[str, Any], steps_per_s: float | None) -> list[str]:
    """The counters of a progress.json; the rate only where there is one."""
    counters, level = progress["counters"], progress["level"]
    said = [
        f"depth {counters['depth']}",
        f"beads {counters['beads']}",
        f"open {counters['open']} of {len(progress['segments'])}",
        f"training {counters['in_training']}",
        f"{thousands(counters['bead_steps'])} steps",
    ]
    if steps_per_s is not None:
        said.append(f"{thousands(round(steps_per_s))}/s")
    aim = progress.get("aim")
    if aim is not None and aim > level:
        said.append(f"level {aim:.3g} on the way to {level:g}")
    if counters["max_peak"] is not None:
        said.append(f"peak {counters['max_peak'] / level:.3g} × level")
    if counters["normalized_length"] is not None:
        said.append(f"length {counters['normalized_length']:.3f}")
    if counters["failed"]:
        said.append(f"failed {counters['failed']}")
    return said


def limits(progress: dict[str, Any], seconds: float) -> str:
    """How far a run is toward its limits, and how old its newest checkpoint is."""
    counters, bounds = progress.get("counters", {}), progress.get("limits", {})
    used = {
        "beads": counters.get("beads"),
        "steps": counters.get("bead_steps"),
        "seconds": seconds,
    }
    parts = [
        f"{name} {value:,.0f} of {bounds[name]:,.0f}"
        for name, value in used.items()
        if bounds.get(name) is not None and value is not None
    ]
    saved = progress.get("checkpoint_time")
    if saved is not None:
        parts.append(f"checkpoint {max(0.0, seconds - saved):.0f} s ago")
    return "limits: " + " · ".join(parts) if parts else ""


def training(progress: dict[str, Any]) -> list[Text]:
    """A line for each of the first beads in training."""
    target = progress["alpha"] * progress["level"]
    metric = progress.get("level_on", {}).get("metric", "loss").replace("_", " ")
    lines = []
    for bead in progress["training"][:LISTED]:
        what = "bead" if progress["order"] else "endpoint"
        loss = "–" if bead["loss"] is None else f"{bead['loss']:.4g}"
        lines.append(
            Text.assemble(
                (f"{what} {bead['bead']:<5}", "cyan"),
                f"{metric} {loss:<9} → {target:<9.4g} step {thousands(bead['steps']):<7} "
                f"try {bead['attempt']}",
            )
        )
    return lines


def title(name: str, about: str, state: str, seconds: float, width: int) -> Text:
    """A run's name and facts to the left, its state and running time to the right."""
    left = Text.assemble((name, "bold"), f"  {about}")
    style = STATE_STYLES.get(state.split(" ")[0], "bold")
    right = Text.assemble((state, style), f"  {clock(seconds)}")
    left.truncate(max(10, width - right.cell_len - 3), overflow="ellipsis")
    return Text.assemble(left, " " * max(1, width - left.cell_len - right.cell_len - 2), right)
