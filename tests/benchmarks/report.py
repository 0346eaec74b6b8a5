"""From samples to the table and the JSON: medians, spread, ratios to ours, targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Value:
    """What several rounds gave: the median, and the lowest and highest as its spread."""

    median: float
    low: float
    high: float
    unit: str

    @classmethod
    def of(cls, samples: Sequence[float], unit: str) -> Value:
        """Summarise the rounds."""
        return cls(median(samples), min(samples), max(samples), unit)

    def __str__(self) -> str:
        if self.low == self.high:
            return f"{number(self.median)} {self.unit}"
        return f"{number(self.median)} {self.unit} ({number(self.low)}–{number(self.high)})"


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure must be: at most or at least ``limit``."""

    text: str
    figure: float
    limit: float
    at_most: bool = True

    @property
    def met(self) -> bool:
        """Whether it is."""
        return self.figure <= self.limit if self.at_most else self.figure >= self.limit


@dataclass(slots=True)
class Measure:
    """One line of the issue's table.

    ``remarks`` say by contender's name what a reader must know to judge its figure.
    """

    id: str
    name: str
    ours: Value
    peers: dict[str, Value] = field(default_factory=dict)
    targets: list[Target] = field(default_factory=list)
    remarks: dict[str, str] = field(default_factory=dict)

    @property
    def ratios(self) -> dict[str, float]:
        """Ours divided by each peer's."""
        return {
            name: self.ours.median / peer.median
            for name, peer in self.peers.items()
            if peer.median and peer.unit == self.ours.unit
        }

    def at_most(self, limit: float, peer: str, of: tuple[str, Value] | None = None) -> None:
        """Add the target: at most ``limit`` times the peer's; ``of``: another's than our first."""
        self._add("≤", limit, peer, of)

    def at_least(self, limit: float, peer: str, of: tuple[str, Value] | None = None) -> None:
        """Add the target: at least ``limit`` times the peer's."""
        self._add("≥", limit, peer, of)

    def _add(self, sign: str, limit: float, peer: str, of: tuple[str, Value] | None) -> None:
        name, value = of or ("", self.ours)
        text = f"{name} {sign} {limit:g} × {peer}".strip()
        figure = value.median / self.peers[peer].median
        self.targets.append(Target(text, figure, limit, at_most=sign == "≤"))

    @property
    def met(self) -> bool | None:
        """Whether every target is met; None without one."""
        return all(target.met for target in self.targets) if self.targets else None

    def as_json(self) -> dict[str, Any]:
        """Return the measure as the JSON file has it."""
        return {
            "id": self.id,
            "name": self.name,
            "ours": _value(self.ours),
            "peers": {name: _value(peer) for name, peer in self.peers.items()},
            "ratio": {name: round(ratio, 4) for name, ratio in self.ratios.items()},
            "target": "; ".join(target.text for target in self.targets),
            "met": self.met,
            "remarks": self.remarks,
        }


def table(measures: Sequence[Measure]) -> str:
    """Return the Markdown table: ours first in each measure, then the peers."""
    lines = [
        "| # | measure | contender | median (lowest–highest) | ours ÷ theirs | target | met |",
        "|---|---|---|---|---|---|---|",
    ]
    for measure in measures:
        targets = "; ".join(target.text for target in measure.targets)
        met = {None: "", True: "yes", False: "**no**"}[measure.met]
        ours = f"ours{_remark(measure, 'ours')}"
        lines.append(_row(measure.id, measure.name, ours, measure.ours, "1", targets, met))
        for name, peer in measure.peers.items():
            ratio = measure.ratios.get(name)
            shown = "" if ratio is None else f"{ratio:.2f}"
            lines.append(_row("", "", f"{name}{_remark(measure, name)}", peer, shown, "", ""))
    return "\n".join(lines)


def as_json(
    measures: Sequence[Measure], versions: Mapping[str, str], machine: Mapping[str, Any]
) -> dict[str, Any]:
    """Return all that the JSON file has."""
    return {
        "measures": [measure.as_json() for measure in measures],
        "versions": dict(versions),
        "machine": dict(machine),
    }


def number(value: float) -> str:
    """Write a number with three digits that count."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _remark(measure: Measure, name: str) -> str:
    remark = measure.remarks.get(name)
    return f" ({remark})" if remark else ""


def _row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _value(value: Value) -> dict[str, Any]:
    return {
        "median": value.median,
        "lowest": value.low,
        "highest": value.high,
        "unit": value.unit,
    }
