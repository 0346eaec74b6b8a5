"""Runs the benchmarks: ``uv run --group bench python -m tests.benchmarks [--quick]``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from tests.benchmarks import (
    cold,
    durable,
    dynamodb,
    memory,
    mirror,
    scale,
    server,
    verification,
    warm,
)
from tests.benchmarks.contenders import versions
from tests.benchmarks.report import Measure, as_json, table
from tests.benchmarks.world import open_world

MEASURES = {
    "warm": warm.measure,
    "cold": cold.measure,
    "server": server.measure,
    "mirror": mirror.measure,
    "verification": verification.measure,
    "scale": scale.measure,
    "durable": durable.measure,
    "memory": memory.measure,
    "dynamodb": dynamodb.measure,
}


def main(arguments: list[str] | None = None) -> int:
    """Run; return 1 when something broke, which a missed target is not."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds: does it all still work?")
    parser.add_argument("--only", action="append", choices=MEASURES, help="repeatable")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw them there (PNG)")
    options = parser.parse_args(arguments)
    os.environ |= {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    measures: list[Measure] = []
    broken: list[str] = []
    found, here = versions(), machine()
    with open_world() as world:
        for name in options.only or MEASURES:
            began = time.monotonic()
            try:
                measures += MEASURES[name](world, quick=options.quick)
            except Exception as error:
                broken.append(f"{name}: {type(error).__name__}: {error}")
            _say(f"{name}: {time.monotonic() - began:.0f} s")
    sys.stdout.write(table(measures) + "\n\n")
    sys.stdout.write(", ".join(f"{name} {version}" for name, version in found.items()) + "\n")
    sys.stdout.write(", ".join(f"{name}: {value}" for name, value in here.items()) + "\n")
    if options.json:
        text = json.dumps(as_json(measures, found, here), indent=2, ensure_ascii=False)
        options.json.write_text(text + "\n", encoding="utf-8")
    if options.picture:
        from tests.benchmarks.picture import draw

        draw(measures, options.picture)
    for line in broken:
        _say(f"BROKEN {line}")
    return 1 if broken else 0


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    model = platform.processor() or "unknown"
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": model,
        "processors": os.cpu_count(),
        "load at the start": ", ".join(f"{load:.1f}" for load in os.getloadavg()),
        "date": time.strftime("%Y-%m-%d"),
    }


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
