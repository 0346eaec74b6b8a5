"""The README's deploy section: short, and its commands are those that are run here."""

from __future__ import annotations

import re

from tests.deploy.stack import DEPLOY, KEYS, PACKAGE, PARAMETERS, ROOT

README = (ROOT / "README.md").read_text()


def section() -> str:
    _, found, rest = README.partition("\n## Deploy\n")
    assert found
    return rest.partition("\n## ")[0]


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", section(), re.DOTALL)
    lines = re.sub(r"\s*\\\n\s*", " ", "".join(blocks)).splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_it_has_25_lines_at_most() -> None:
    assert len(section().strip().splitlines()) + 1 <= 25


def test_its_commands_are_the_tested_ones() -> None:
    given = " ".join(f"{name}={value}" for name, value in PARAMETERS.items())
    assert commands() == [
        PACKAGE,
        DEPLOY + given,
        DEPLOY + KEYS,
    ]
