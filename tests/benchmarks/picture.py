"""The picture for the README: how long the others take, ours being 1."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.report import Measure

_SHOWN = {
    "1 wall": ("Warm Lambda event", "time"),
    "2 wall": ("Cold start", "time"),
    "3": ("Server door", "rate"),
    "4": ("Gateway mirror", "rate"),
}


def draw(measures: Sequence[Measure], file: Path) -> None:
    """Write the picture as PNG; nothing when none of its measures was taken."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    shown = [measure for measure in measures if measure.id in _SHOWN]
    if not shown:
        return
    bars = [1 + len(measure.peers) for measure in shown]
    figure, axes = pyplot.subplots(
        len(shown),
        1,
        figsize=(8, 0.9 * len(shown) + 0.3 * sum(bars)),
        height_ratios=bars,
        squeeze=False,
        layout="constrained",
    )
    for axis, measure in zip(axes[:, 0], shown, strict=True):
        title, kind = _SHOWN[measure.id]
        better = "shorter is better" if kind == "time" else "longer is better"
        values = {"ours": measure.ours, **measure.peers}
        names = [
            f"{name}*" if name in measure.remarks and name != "ours" else name for name in values
        ]
        medians = [value.median for value in values.values()]
        errors = [
            [value.median - value.low for value in values.values()],
            [value.high - value.median for value in values.values()],
        ]
        colours = ["#c2410c" if name.startswith("ours") else "#94a3b8" for name in values]
        axis.barh(names, medians, xerr=errors, color=colours, ecolor="#475569")
        axis.invert_yaxis()
        axis.set_title(f"{title} ({measure.ours.unit}, {better})", loc="left", fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("* verifies no token itself", x=0.99, ha="right", fontsize=8)
    figure.savefig(file, dpi=120)
    pyplot.close(figure)
