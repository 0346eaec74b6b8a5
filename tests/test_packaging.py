"""The files around the code agree with it and with each other."""

from __future__ import annotations

import importlib
import re
import socket
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINS = (ROOT / "requirements.txt").read_text()


def pins() -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^ \\;]+)", PINS, re.MULTILINE))


@pytest.mark.parametrize("dependency", PYPROJECT["project"]["dependencies"])
def test_every_runtime_dependency_is_pinned_within_its_range(dependency: str) -> None:
    requirement = Requirement(dependency)
    assert pins()[requirement.name] in requirement.specifier


def test_every_pin_has_hashes_and_none_an_address() -> None:
    blocks = re.split(r"\n(?=[a-z0-9-]+==)", PINS.strip())
    assert len(blocks) == len(pins())
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in PINS


@pytest.mark.parametrize("name", ["moto", "typer", "jsonschema", "pytest"])
def test_nothing_of_the_laptop_is_shipped(name: str) -> None:
    assert name not in pins()


@pytest.mark.parametrize("name", ["app", "app.auth", "app.store"])
def test_a_menu_lists_what_it_offers_in_order(name: str) -> None:
    module = importlib.import_module(name)
    names = getattr(module, "__all__", [])
    assert sorted(names) == sorted(set(names))
    assert all(hasattr(module, each) for each in names)


def test_the_console_script_is_there() -> None:
    module, _, attribute = PYPROJECT["project"]["scripts"]["notegate"].partition(":")
    assert callable(getattr(importlib.import_module(module), attribute))


def test_no_test_reaches_beyond_this_machine() -> None:
    with socket.socket() as sock, pytest.raises(AssertionError, match="192.0.2.1"):
        sock.connect(("192.0.2.1", 80))


@pytest.mark.parametrize("path", ["app", "tests"])
def test_no_machines_path_and_no_registrys_address_is_in_the_tree(path: str) -> None:
    told = ("/root" + "/", "/home" + "/", "pypi" + ".org", "file" + ":///opt")
    for file in (ROOT / path).rglob("*.py"):
        text = file.read_text()
        assert not [each for each in told if each in text], file
