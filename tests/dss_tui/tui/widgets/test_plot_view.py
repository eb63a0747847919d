"""The plot that tells the values under the mouse."""

from __future__ import annotations

from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import TabbedContent

from dss_tui.tui.app import DssApp
from dss_tui.tui.widgets.plot_view import PlotView
from tests.support.pilots import drive, seen, until, watching
from tests.support.told_runs import constrained_run


def test_the_values_stand_where_the_labels_of_the_axes_were(tmp_path: Path) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("5")
        await until(pilot, lambda: "seconds →" in seen(app))
        view = app.screen.query_one("#history-plot", PlotView)
        await pilot.hover("#history-plot", offset=(view.size.width // 2, view.size.height // 2))
        await until(pilot, lambda: "nearest peak: " in seen(app))
        assert "seconds →" not in seen(app)
        text = seen(app)
        for offset in ((view.size.width // 2 + 20, 5), (view.size.width // 2 - 20, 5)):
            await pilot.hover("#history-plot", offset=offset)
            await until(pilot, lambda text=text: seen(app) != text)  # type: ignore[misc]
            text = seen(app)
        await pilot.hover("#head")
        await until(pilot, lambda: "seconds →" in seen(app))
        assert app.screen.query_one("#views", TabbedContent).active == "history"

    drive(steps, watching(constrained_run(tmp_path)))


def test_a_mouse_that_rests_draws_nothing(tmp_path: Path) -> None:
    async def steps(app: DssApp, pilot: Pilot[None]) -> None:
        await pilot.press("5")
        await until(pilot, lambda: "seconds →" in seen(app))
        view = app.screen.query_one("#history-plot", PlotView)
        await pilot.hover("#history-plot", offset=(30, 6))
        await until(pilot, lambda: "nearest peak: " in seen(app))
        drawn: list[object] = []
        view.refresh = lambda *regions, **more: drawn.append(regions) or view  # type: ignore[method-assign, func-returns-value]
        await pilot.hover("#history-plot", offset=(30, 6))
        await pilot.pause(0.3)
        assert drawn == []

    drive(steps, watching(constrained_run(tmp_path)))
