"""The ledger names tests that exist, and the package exports what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import app.local.gateway
from app.local.gateway import LEDGER, ledger_table
from app.local.gateway.ledger import MIRRORED, NOT_MIRRORED, Entry


@pytest.mark.parametrize("entry", LEDGER, ids=lambda entry: entry.behaviour)
def test_what_is_mirrored_or_refused_is_shown_by_a_test(entry: Entry) -> None:
    assert re.fullmatch("-|[RMCDI](/[RMCDI])*", entry.certainty)
    if entry.state == NOT_MIRRORED:
        assert not entry.shown_by
        return
    file, _, name = entry.shown_by.partition("::")
    source = (Path(__file__).parent / f"{file}.py").read_text()
    assert re.search(rf"^def {name}\(", source, re.MULTILINE)


def test_each_behaviour_is_there_once() -> None:
    behaviours = [entry.behaviour for entry in LEDGER]
    assert len(set(behaviours)) == len(behaviours)


def test_the_table_has_a_row_for_each() -> None:
    rows = ledger_table().splitlines()
    assert len(rows) == len(LEDGER) + 2
    assert sum(MIRRORED in row for row in rows) >= len(LEDGER) / 2


def test_every_exported_name_is_there() -> None:
    for name in app.local.gateway.__all__:
        assert getattr(app.local.gateway, name)
