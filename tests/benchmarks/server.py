"""Measures 3 and 4: requests a second at the server doors, by wrk with 32 clients."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.benchmarks.contenders import (
    CHALICE,
    COGNITO,
    FORGETFUL,
    OURS,
    TUTORIAL,
    Broken,
    check,
)
from tests.benchmarks.report import Measure, Value
from tests.benchmarks.world import ROOT, World

CLIENTS = 32
GATEWAY = "ours, gateway mirror"
H11 = "ours, direct, by h11 and asyncio as installed"
LOCAL = "chalice local"

_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_WRONG = re.compile(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)")
_DONE = re.compile(r"(\d+) requests in")


class Running:
    """A server in a process of its own, and what a client needs to be let in."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, token: str) -> None:
        self.process = process
        self.url = url
        self.token = token

    def cpu(self) -> float:
        """Return the seconds of CPU that the server has used, all its threads together."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(world: World, *, quick: bool) -> list[Measure]:
    """Load every door in turn, several rounds."""
    seconds, rounds = (1, 2) if quick else (5, 7)
    rates: dict[str, list[float]] = {}
    costs: dict[str, list[float]] = {}
    with ExitStack() as stack:
        doors = {
            OURS.name: stack.enter_context(uvicorn(world, "app.main:app")),
            FORGETFUL.name: stack.enter_context(uvicorn(world, f"{FORGETFUL.module}:app")),
            # The others get uvicorn's faster parts, which FastAPI's own documentation installs. The
            # mirror cannot have both: httptools does not keep the case of a header's name.
            H11: stack.enter_context(
                uvicorn(world, "app.main:app", "--http", "h11", "--loop", "asyncio")
            ),
            GATEWAY: stack.enter_context(notegate(world)),
            TUTORIAL.name: stack.enter_context(uvicorn(world, f"{TUTORIAL.module}:app")),
            COGNITO.name: stack.enter_context(uvicorn(world, f"{COGNITO.module}:app")),
            LOCAL: stack.enter_context(chalice_local(world)),
        }
        contenders = {each.name: each for each in (OURS, FORGETFUL, TUTORIAL, COGNITO)}
        contenders |= {H11: OURS, GATEWAY: OURS, LOCAL: CHALICE}
        for name, door in doors.items():
            forged = ask(door, world.forged_token)
            check(world, contenders[name], ask(door, door.token), forged)
            wrk(door, 1)  # warm-up
        order = list(doors)
        for number in range(rounds):
            for index in range(len(order)):
                name = order[(index + number) % len(order)]
                before = doors[name].cpu()
                rate, requests = wrk(doors[name], seconds)
                cost = 1e6 * (doors[name].cpu() - before) / requests
                rates.setdefault(name, []).append(rate)
                costs.setdefault(name, []).append(cost)
    values = {name: Value.of(found, "req/s") for name, found in rates.items()}
    direct = Measure(
        "3",
        f"GET /notes under uvicorn, requests a second, {CLIENTS} clients",
        values[OURS.name],
        {name: values[name] for name in (FORGETFUL.name, TUTORIAL.name, COGNITO.name)},
    )
    direct.at_least(3, TUTORIAL.name)
    mirror = Measure(
        "4",
        f"the same through the gateway mirror, {CLIENTS} clients",
        values[GATEWAY],
        {"ours, direct": values[OURS.name], H11: values[H11], LOCAL: values[LOCAL]},
        remarks={
            "ours": "two threads and three times JSON around the same app: 4 parts",
            LOCAL: CHALICE.remark,
        },
    )
    mirror.at_least(0.5, "ours, direct")
    mirror.at_least(3, LOCAL)
    cpu = {name: Value.of(found, "µs") for name, found in costs.items()}
    cost = Measure(
        "3–4 CPU", "the same, the server's CPU time per request", cpu.pop(OURS.name), cpu
    )
    return [direct, mirror, cost]


@contextlib.contextmanager
def uvicorn(world: World, app: str, *options: str, **variables: str) -> Iterator[Running]:
    """Run an app under uvicorn: one process, no access log, for everybody the same."""
    port = _free_port()
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port)]
    command += ["--no-access-log", "--log-level", "warning", *options]
    with _running(command, port, world.environment(**variables), ROOT) as process:
        yield Running(process, f"http://127.0.0.1:{port}", world.token)


@contextlib.contextmanager
def notegate(world: World) -> Iterator[Running]:
    """Run the real ``notegate`` on the same notes; its pool is its own, and so is the token."""
    port = _free_port()
    data = world.folder / "mirror"
    store = f"sqlite:///{world.notes_file}"
    command = [str(Path(sys.executable).parent / "notegate"), "--port", str(port)]
    command += ["--data", str(data), "--store", store]
    settings = ("COGNITO_", "AWS_", "NOTES_STORE", "JWKS_URL")
    environment = {k: v for k, v in world.environment().items() if not k.startswith(settings)}
    with _running(command, port, environment, world.folder, quiet=True) as process:
        url = f"http://127.0.0.1:{port}"
        yield Running(process, url, _sign_in(url))


@contextlib.contextmanager
def chalice_local(world: World) -> Iterator[Running]:
    """Run ``chalice local``, without watching for changes."""
    port = _free_port()
    project = Path(__file__).parent / "peers" / "chalice_notes"
    command = [str(Path(sys.executable).parent / "chalice"), "--project-dir", str(project)]
    command += ["local", "--port", str(port), "--no-autoreload"]
    with _running(command, port, world.environment(), project, quiet=True) as process:
        yield Running(process, f"http://127.0.0.1:{port}", world.token)


def wrk(door: Running, seconds: int, clients: int = CLIENTS, script: Path | None = None) -> Any:
    """Load GET /notes (or what the script says); return requests a second and their number.

    Raises:
        Broken: an answer was not a success.
    """
    program = shutil.which("wrk")
    if program is None:
        raise SystemExit("wrk is not installed: apt-get install wrk")
    command = [program, "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "10s"]
    command += ["-H", f"Authorization: Bearer {door.token}"]
    command += ["-s", str(script)] if script else []
    done = subprocess.run([*command, f"{door.url}/notes"], capture_output=True, text=True)
    wrong, rate = _WRONG.search(done.stdout), _RATE.search(done.stdout)
    requests = _DONE.search(done.stdout)
    if wrong or rate is None or requests is None:
        raise Broken(f"{door.url}: {done.stdout}{done.stderr}")
    return float(rate[1]), int(requests[1])


def ask(door: Running, token: str) -> dict[str, Any]:
    """Send one GET /notes; return status and body as a Lambda's answer has them."""
    request = urllib.request.Request(  # noqa: S310 loopback
        f"{door.url}/notes", headers={"Authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 loopback
            return {"statusCode": answer.status, "body": answer.read().decode()}
    except urllib.error.HTTPError as error:
        with error:
            return {"statusCode": error.code, "body": error.read().decode()}


def _sign_in(url: str) -> str:
    body = {
        "AuthFlow": "USER_PASSWORD_AUTH",
        "ClientId": "notegatelocalclient0000001",
        "AuthParameters": {"USERNAME": "student", "PASSWORD": "student"},
    }
    request = urllib.request.Request(  # noqa: S310 loopback
        f"{url}/_cognito",
        json.dumps(body).encode(),
        {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "AWSCognitoIdentityProviderService.InitiateAuth",
        },
    )
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 loopback
        return str(json.load(answer)["AuthenticationResult"]["IdToken"])


@contextlib.contextmanager
def _running(
    command: list[str], port: int, environment: dict[str, str], folder: Path, *, quiet: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    with open(os.devnull, "wb") as nowhere:
        # Those that write a line per request write it to nowhere, which costs them the least.
        output = nowhere if quiet else None
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise Broken(f"{' '.join(command)} does not start")
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
