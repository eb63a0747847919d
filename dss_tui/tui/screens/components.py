"""The dashboard of components: pairs of models at each level, and the tree as it grows."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from dss_tui.tui import components_parts as parts
from dss_tui.tui.screens.sweep import SweepScreen
from dss_tui.tui.widgets.matrix import Mark, MatrixData
from dss_tui.viewing import components
from dss_tui.viewing.dendrogram import dendrogram
from engine.record.components_folder import ComponentsPlan
from engine.record.components_tables import Components
from engine.record.progress import Progress
from engine.record.sweeps import CellState, LevelState, SweepView


class ComponentsScreen(SweepScreen):
    """The screen of components: what is known of each pair at each level, over the tree."""

    LEGEND = parts.LEGEND
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("2", "view('-plots')", "tree alone", id="components.tree"),
        Binding("t", "graph", "join at peaks or at levels", id="components.graph"),
    ]

    graph = "peaks"
    """Which of both graphs is shown."""
    _known: tuple[SweepView | None, Components | None, list[list[str]]] = (None, None, [])

    def compose_below(self) -> ComposeResult:
        """See `SweepScreen`; it is the tree."""
        with VerticalScroll(id="plots"):
            yield Static(id="tree")

    def _look_up(self) -> tuple[Components | None, list[list[str]]]:
        """Returns what follows from the searches, and the words of each level's pairs."""
        now = self.sweep
        if self._known[0] is not now:
            found = None
            if isinstance(now.plan, ComponentsPlan):
                found = components.found_of(now, self.folder)
            words = [components.words_of(level, found) for level in now.levels]
            self._known = now, found, words
        return self._known[1], self._known[2]

    def matrix(self) -> MatrixData:
        """See `SweepScreen`."""
        return parts.matrix(self.sweep, self._look_up()[1], self.palette)

    def marks(self) -> list[tuple[Mark, str]]:
        """See `SweepScreen`."""
        return parts.legend_of(self._look_up()[1], self.palette)

    def about(
        self, level: LevelState, cell: CellState, progress: Progress | None
    ) -> tuple[list[str], list[str]]:
        """See `SweepScreen`."""
        found, _ = self._look_up()
        said = components.about_level(level).split()
        return said, components.about_pair(cell, self.word_of(cell), found, progress)

    def counted(self) -> list[str]:
        """See `SweepScreen`."""
        if not isinstance(self.sweep.plan, ComponentsPlan):
            return []
        return components.counted(self.sweep, self.folder)

    def word_of(self, cell: CellState) -> str:
        """See `SweepScreen`."""
        _, words = self._look_up()
        for level, here in zip(self.sweep.levels, words, strict=True):
            for each, word in zip(level.cells, here, strict=True):
                if each is cell:
                    return word
        return super().word_of(cell)

    def no_run_of(self, cell: CellState) -> str:
        """See `SweepScreen`."""
        word, column = self.word_of(cell), cell.cell.pair
        assert isinstance(self.sweep.plan, ComponentsPlan)
        a, b = self.sweep.plan.every_pair[column]
        if word == components.JOINED:
            return f"models {a} and {b} are joined by other paths; they were not searched here"
        return f"models {a} and {b}: {word}; there is no run at this level"

    def action_graph(self) -> None:
        """Changes between the graph that joins at peaks and the one that joins at levels."""
        self.graph = "levels" if self.graph == "peaks" else "peaks"
        self._show_plots()

    def _show_plots(self) -> None:
        """Draws the tree, if it is shown."""
        found, _ = self._look_up()
        box = self.query_one("#plots")
        if not box.display:
            return
        self.query_one("#tree", Static).update(self._tree(found, max(30, self.size.width - 5)))

    def _tree(self, found: Components | None, width: int) -> Text:
        """Returns the lines of the tree and what they mean."""
        if found is None:
            return Text("The tree grows once the models are there.", style=self.palette.dim)
        nodes = [node for node in found.nodes() if node.graph == self.graph]
        title = f"loss at which models join, at {self.graph}; each is an upper bound"
        lines = [Text(title[:width], style=self.palette.dim)]
        lines += [Text(line) for line in dendrogram(nodes, found.asked.levels, width)]
        if sum(node.parent is None for node in nodes) > 1:
            so_far = " so far" if found.decided.left else ""
            said = f"┄ not joined: no path was found{so_far}"
            lines.append(Text(said, style=self.palette.dim))
        return Text("\n").join(lines)
