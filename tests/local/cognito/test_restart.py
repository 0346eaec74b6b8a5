from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.local.cognito import DataError, LocalPool
from tests.local.cognito.support import (
    STUDENT,
    Clock,
    Prover,
    Start,
    auth,
    confirmed,
    refusal,
    sign_in,
    sign_up,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:datetime.datetime.utcnow:DeprecationWarning:pycognito"
)


def restarted(start: Start, pool: LocalPool, folder: Path) -> LocalPool:
    pool.close()
    return start(folder)


def test_everything_survives(start: Start, folder: Path) -> None:
    pool = start(folder)
    confirmed(pool, "ann", "ann@example.com")
    sign_up(pool, "bob")
    code = pool.mails[0].code
    params: dict[str, Any] = {"UserPoolId": pool.pool_id, "GroupName": "staff", "Precedence": 3}
    pool.call("CreateGroup", params)
    params = {"UserPoolId": pool.pool_id, "Username": "ann", "GroupName": "staff"}
    pool.call("AdminAddUserToGroup", params)
    tokens, keys = sign_in(pool, "ann", "secret"), pool.jwks
    who = {"UserPoolId": pool.pool_id, "Username": "ann"}
    before = pool.call("AdminGetUser", who)
    described = pool.call("DescribeUserPool", {"UserPoolId": pool.pool_id})

    pool = restarted(start, pool, folder)
    assert pool.jwks == keys
    assert pool.call("AdminGetUser", who) == before
    assert pool.call("DescribeUserPool", {"UserPoolId": pool.pool_id}) == described
    assert pool.call("GetUser", {"AccessToken": tokens["AccessToken"]})["Username"] == "ann"
    again = auth(pool, "REFRESH_TOKEN_AUTH", {"REFRESH_TOKEN": tokens["RefreshToken"]})
    assert "IdToken" in again["AuthenticationResult"]
    groups = pool.call("AdminListGroupsForUser", who)["Groups"]
    assert [(group["GroupName"], group["Precedence"]) for group in groups] == [("staff", 3)]
    staff = {"UserPoolId": pool.pool_id, "GroupName": "staff"}
    assert [user["Username"] for user in pool.call("ListUsersInGroup", staff)["Users"]] == ["ann"]
    assert sign_in(pool, "ann", "secret")
    prover = Prover(pool, "ann", "secret")
    assert "AuthenticationResult" in prover.finish(prover.proof(prover.start()))
    wrong = {"USERNAME": "ann", "PASSWORD": "Secret"}
    params = {"ClientId": pool.client_id, "AuthFlow": "USER_PASSWORD_AUTH"}
    assert refusal(pool, "InitiateAuth", **params, AuthParameters=wrong)[1].startswith("Incorrect")
    bob = {"USERNAME": "bob", "PASSWORD": "secret"}
    assert refusal(pool, "InitiateAuth", **params, AuthParameters=bob)[1].startswith("User is not")
    params = {"ClientId": pool.client_id, "Username": "bob", "ConfirmationCode": code}
    pool.call("ConfirmSignUp", params)


def test_what_has_ended_stays_ended(start: Start, folder: Path) -> None:
    pool = start(folder)
    tokens = sign_in(pool)
    pool.call("RevokeToken", {"ClientId": pool.client_id, "Token": tokens["RefreshToken"]})
    pool.call("AdminDeleteUser", {"UserPoolId": pool.pool_id, "Username": "student"})
    pool = restarted(start, pool, folder)
    params = {"ClientId": pool.client_id, "AuthFlow": "REFRESH_TOKEN_AUTH"}
    params["AuthParameters"] = {"REFRESH_TOKEN": tokens["RefreshToken"]}  # type: ignore[assignment] # a map among strings
    assert refusal(pool, "InitiateAuth", **params)[1] == "Invalid Refresh Token"
    who = {"UserPoolId": pool.pool_id, "Username": "student"}
    assert refusal(pool, "AdminGetUser", **who)[0] == "UserNotFoundException"


def test_guesses_at_a_code_are_counted_across_restarts(start: Start, folder: Path) -> None:
    pool = start(folder)
    sign_up(pool, "ann")
    code = pool.mails[0].code
    params = {"ClientId": pool.client_id, "Username": "ann"}
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    for _ in range(5):
        pool = restarted(start, pool, folder)
        refusal(pool, "ConfirmSignUp", **params, ConfirmationCode=wrong)
    pool = restarted(start, pool, folder)
    refused = refusal(pool, "ConfirmSignUp", **params, ConfirmationCode=code)
    assert refused[0] == "LimitExceededException"


def test_the_codes_of_a_deleted_user_are_forgotten(start: Start, folder: Path) -> None:
    pool = start(folder)
    sign_up(pool, "ann")
    sign_up(pool, "bob")
    pool.call("AdminDeleteUser", {"UserPoolId": pool.pool_id, "Username": "ann"})
    saved = json.loads((folder / "pools.json").read_text())["pools"][0]
    assert len(saved["codes"]) == 1


def test_other_pools_survive_with_all_their_parts(start: Start, folder: Path) -> None:
    pool = start(folder)
    schema = [{"Name": "year", "AttributeDataType": "Number", "Mutable": True}]
    made = pool.call("CreateUserPool", {"PoolName": "other", "Schema": schema})["UserPool"]["Id"]
    params: dict[str, Any] = {"UserPoolId": made}
    secret = {"ClientName": "server", "GenerateSecret": True}
    client = pool.call("CreateUserPoolClient", params | secret)["UserPoolClient"]["ClientId"]
    provider = {"ProviderName": "Google", "ProviderType": "Google", "ProviderDetails": {"a": "b"}}
    pool.call("CreateIdentityProvider", params | provider)
    server = {"Identifier": "notes", "Name": "Notes"}
    scopes = [{"ScopeName": "read", "ScopeDescription": "Read"}]
    pool.call("CreateResourceServer", params | server | {"Scopes": scopes})
    pool.call("CreateUserPoolDomain", params | {"Domain": "notegate"})
    asked = {
        "DescribeUserPool": params,
        "DescribeUserPoolClient": params | {"ClientId": client},
        "DescribeIdentityProvider": params | {"ProviderName": "Google"},
        "DescribeResourceServer": params | {"Identifier": "notes"},
    }
    before = {name: pool.call(name, given) for name, given in asked.items()}
    keys = pool.jwks_of(made)
    pool = restarted(start, pool, folder)
    assert {name: pool.call(name, given) for name, given in asked.items()} == before
    assert before["DescribeUserPool"]["UserPool"]["Domain"] == "notegate"
    assert pool.jwks_of(made) == keys
    pool.call("DeleteUserPool", {"UserPoolId": made})
    assert not list(folder.glob(f"*{made}*"))


def test_reading_writes_nothing(start: Start, folder: Path) -> None:
    pool = start(folder)
    before = (folder / "pools.json").stat().st_mtime_ns
    pool.call("ListUsers", {"UserPoolId": pool.pool_id})
    assert (folder / "pools.json").stat().st_mtime_ns == before


def test_expired_sign_ins_and_codes_are_not_kept(start: Start, folder: Path, clock: Clock) -> None:
    pool = start(folder)
    sign_in(pool)
    sign_up(pool, "ann")
    clock.ahead = 32 * 86_400
    pool.call("AdminConfirmSignUp", {"UserPoolId": pool.pool_id, "Username": "ann"})
    saved = json.loads((folder / "pools.json").read_text())["pools"][0]
    assert (saved["grants"], saved["codes"]) == ([], [])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_nobody_else_reads_the_files(start: Start, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        start(tmp_path / "a" / "data")
    finally:
        os.umask(before)
    folder = tmp_path / "a" / "data"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert files == dict.fromkeys(["lock", "pools.json", "keys-us-east-1_Notegate1.json"], 0o600)


def test_no_password_and_no_token_is_in_the_files(start: Start, folder: Path) -> None:
    pool = start(folder)
    params = {"UserPoolId": pool.pool_id, "Username": "student", "Permanent": True}
    pool.call("AdminSetUserPassword", {**params, "Password": "Correct-Horse"})
    tokens = sign_in(pool, "student", "Correct-Horse")
    text = "".join(path.read_text() for path in folder.iterdir())
    for secret in ("Correct-Horse", tokens["RefreshToken"], tokens["AccessToken"]):
        assert secret not in text


def test_a_crash_before_the_rename_leaves_the_old_state(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = start(folder)

    def crash(path: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crash)
        with pytest.raises(OSError, match="No space left"):
            sign_up(pool, "ann")
    pool = restarted(start, pool, folder)
    who = {"UserPoolId": pool.pool_id, "Username": "ann"}
    assert refusal(pool, "AdminGetUser", **who)[0] == "UserNotFoundException"
    sign_up(pool, "ann")
    assert not list(folder.glob("*.new"))


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "[]", "{}", '{"version": 1}', '{"version": 1, "pools": [], "domains": []}'],
)
def test_a_state_that_cannot_be_read_is_left_alone(start: Start, folder: Path, text: str) -> None:
    (folder / "pools.json").write_text(text)
    with pytest.raises(DataError, match=r"pools\.json: is not what .* Nothing was changed"):
        start(folder)
    assert (folder / "pools.json").read_text() == text


def test_a_state_without_a_part_is_left_alone(start: Start, folder: Path) -> None:
    document = json.loads((folder / "pools.json").read_text())
    del document["pools"][0]["users"][0]["password"]
    (folder / "pools.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="password"):
        start(folder)


def test_a_state_of_a_newer_version_is_left_alone(start: Start, folder: Path) -> None:
    (folder / "pools.json").write_text('{"version": 2, "pools": {}}')
    with pytest.raises(DataError, match="another version of Notegate"):
        start(folder)


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"id": 1, "access": 2}', '{"id": "x", "access": "y"}'],
)
def test_keys_that_cannot_be_read_are_left_alone(start: Start, folder: Path, text: str) -> None:
    path = folder / "keys-us-east-1_Notegate1.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"keys-.*two keys"):
        start(folder)
    assert path.read_text() == text


def test_keys_of_another_kind_are_refused(start: Start, folder: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / "keys-us-east-1_Notegate1.json"
    path.write_text(json.dumps({"id": pem.decode(), "access": pem.decode()}))
    with pytest.raises(DataError, match="not an RSA key"):
        start(folder)


def test_one_process_at_a_time(start: Start, folder: Path) -> None:
    first = start(folder)
    with pytest.raises(DataError, match="another process runs the user pool"):
        start(folder, patience=0.1)
    first.close()
    first.close()
    assert start(folder)


def test_a_folder_that_cannot_be_made(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="can't be used"):
        start(tmp_path / "file" / "data")


def test_two_pools_in_one_process_do_not_mix(start: Start, folder: Path, tmp_path: Path) -> None:
    one, two = start(folder), start(tmp_path / "two")
    confirmed(one, "ann")
    who = {"UserPoolId": two.pool_id, "Username": "ann"}
    assert refusal(two, "AdminGetUser", **who)[0] == "UserNotFoundException"
    assert refusal(two, "GetUser", AccessToken=sign_in(one)["AccessToken"])[1].startswith("Invalid")
    assert auth(two, "USER_PASSWORD_AUTH", STUDENT)


def test_mails_are_announced_on_stderr(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pool = LocalPool(folder)
    sign_up(pool, "ann")
    pool.close()
    assert capsys.readouterr().err == (
        f"To ann (no address): your confirmation code is {pool.mails[0].code}\n"
    )


def test_moto_is_imported_when_a_pool_is_made() -> None:
    code = "import sys, app.local.cognito; sys.exit('moto' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
