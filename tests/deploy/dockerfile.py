"""Carries out a Dockerfile's steps without a container engine, under a folder instead of ``/``.

Enough of it for ours: absolute paths in its lines are moved under the folder, ``pip`` is uv for
the interpreter in use, and ``python`` is that interpreter without any packages but the image's.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"
NOBODY = 65534


class Step(NamedTuple):
    """One instruction and its words."""

    name: str
    words: str


class Stage(NamedTuple):
    """What stands between one FROM and the next."""

    name: str
    base: str
    steps: list[Step]


def read_stages() -> dict[str, Stage]:
    """Return the Dockerfile's stages in order."""
    stages: dict[str, Stage] = {}
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        name, _, words = line.strip().partition(" ")
        if name == "FROM":
            base, _, alias = words.partition(" AS ")
            stages[alias] = Stage(alias, base, [])
        elif name:
            stages[alias].steps.append(Step(name, words))
    return stages


def ancestry(target: str) -> list[Stage]:
    """Return the stages of a target, the first one first."""
    stages = read_stages()
    chain: list[Stage] = []
    while target in stages:
        chain.insert(0, stages[target])
        target = stages[target].base
    return chain


def last(target: str, name: str) -> str:
    """Return the words of a target's last instruction of that name."""
    return [step.words for stage in ancestry(target) for step in stage.steps if step.name == name][
        -1
    ]


def interpreter() -> tuple[str, int | None]:
    """Return an interpreter for the image, and the user as whom it can be run (None: ourselves).

    Root's own folder may be closed to others, and with it an interpreter there.
    """
    base = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    if os.geteuid() != 0:
        return base, None
    for path in (base, "/usr/bin/python{}.{}".format(*sys.version_info)):
        folders = Path(path).parents
        if os.path.exists(path) and all(folder.stat().st_mode & 0o001 for folder in folders):
            return path, NOBODY
    return base, None


class Image:
    """A target, built under ``root``."""

    def __init__(self, target: str, root: Path) -> None:
        self.target = target
        self.root = root
        self.python, self.user = interpreter()
        self._tools()
        self.environ = {"PATH": f"{root}/.tools:/usr/bin:/bin", "HOME": "/nonexistent"}
        for stage in ancestry(target):
            for step in stage.steps:
                self._carry_out(step)

    def path(self, words: str) -> str:
        """Move absolute paths under the root."""
        return re.sub(
            r"(?<![\w/.:])/(app|data|requirements\.txt|lambda\.txt)\b", self._moved, words
        )

    def _moved(self, match: re.Match[str]) -> str:
        return f"{self.root}{match[0]}"

    def command(self, name: str) -> list[str]:
        """Return the words of CMD, ENTRYPOINT or HEALTHCHECK."""
        words: list[str] = json.loads(self.path(last(self.target, name).rpartition("CMD ")[2]))
        return words

    @property
    def folder(self) -> str:
        """The working folder."""
        return self.path(last(self.target, "WORKDIR"))

    def start(self, command: Sequence[str]) -> subprocess.Popen[str]:
        """Start a command as the image's user."""
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environ,
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else [],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _tools(self) -> None:
        tools = self.root / ".tools"
        tools.mkdir()
        uv = shutil.which("uv")
        # Installs for the runtime's version what exists for it alone, the rest for ours.
        scripts = {
            "python": f'exec {self.python} -S "$@"',
            "pip": f"""case "$*" in
*lambda.txt*) which="--python-version 3.13 --python-platform x86_64-manylinux_2_28" ;;
esac
exec {uv} --quiet pip "$@" --link-mode copy --python {self.python} $which""",
        }
        for name, script in scripts.items():
            (tools / name).write_text(f"#!/bin/sh\n{script}\n")
            (tools / name).chmod(0o755)

    def _carry_out(self, step: Step) -> None:
        if step.name == "ENV":
            variables = (each.partition("=") for each in self.path(step.words).split())
            self.environ |= {name: value for name, _, value in variables}
        elif step.name == "WORKDIR":
            Path(self.path(step.words)).mkdir(exist_ok=True)
        elif step.name == "RUN":
            command = self.path(step.words)
            if self.user is None:
                command = re.sub(r"-[og] \d+ ", "", command)
            done = subprocess.run(
                ["/bin/sh", "-c", command],
                env=self.environ | {"HOME": os.environ.get("HOME", "/")} | _index(),
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
        elif step.name == "COPY":
            self._copy(step.words)

    def _copy(self, words: str) -> None:
        source, target = words.split()[-2:]
        if words.startswith("--from"):
            self._copy_stage(words)
        elif (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, self.path(target), ignore=_ignored)
        else:
            assert not is_ignored(source)
            shutil.copy(ROOT / source, self.path(f"/{source}"))

    def _copy_stage(self, words: str) -> None:
        match = re.fullmatch(r"--from=(\S+) (/\S+) \2", words)
        assert match, words
        scratch = self.root / f".{match[1]}"
        scratch.mkdir()
        built = Image(match[1], scratch)
        shutil.rmtree(self.path(match[2]), ignore_errors=True)
        shutil.move(built.path(match[2]), self.path(match[2]))


def is_ignored(path: str) -> bool:
    """Whether .dockerignore leaves a path out: the last line that matches decides."""
    ignored = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!").removeprefix("**/")
            parts = path.split("/")
            beginnings = ["/".join(parts[: n + 1]) for n in range(len(parts))]
            names = parts if line.startswith("**/") else beginnings
            if any(fnmatch(name, pattern) for name in names):
                ignored = not line.startswith("!")
    return ignored


def _ignored(folder: str, names: list[str]) -> list[str]:
    inside = Path(folder).relative_to(ROOT)
    return [name for name in names if is_ignored(str(inside / name))]


def _index() -> dict[str, str]:
    """Where packages come from on this machine."""
    return {k: v for k, v in os.environ.items() if k.startswith(("UV_", "PIP_", "SSL_", "XDG_"))}
