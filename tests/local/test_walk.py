"""The course's walk with the real AWS CLI against a running ``notegate``."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.local.running import CLIENT_ID, POOL_ID, notegate

CREDENTIALS = ("--auth-parameters", "USERNAME=student,PASSWORD=student")


def test_the_walk_of_the_course_and_after_a_restart_all_is_still_there(tmp_path: Path) -> None:
    with notegate(tmp_path) as running:
        # The demo user has the name that the course's walk signs up.
        demo = ("--user-pool-id", POOL_ID, "--username", "student")
        done = running.aws("cognito-idp", "admin-delete-user", *demo)
        assert done.returncode == 0, done.stderr
        # Sign up; who is not confirmed cannot sign in.
        done = running.aws(
            *("cognito-idp", "sign-up", "--client-id", CLIENT_ID),
            *("--username", "student", "--password", "student"),
        )
        answer = json.loads(done.stdout)
        assert answer["UserConfirmed"] is False
        assert re.fullmatch(r"[0-9a-f-]{36}", answer["UserSub"])
        initiate = (
            *("cognito-idp", "initiate-auth", "--client-id", CLIENT_ID),
            *("--auth-flow", "USER_PASSWORD_AUTH", *CREDENTIALS),
        )
        done = running.aws(*initiate)
        assert done.returncode != 0
        assert "UserNotConfirmedException" in done.stderr
        # Confirm, sign in.
        done = running.aws(
            *("cognito-idp", "admin-confirm-sign-up", "--user-pool-id", POOL_ID),
            *("--username", "student"),
        )
        assert done.returncode == 0, done.stderr
        done = running.aws(*initiate)
        assert done.returncode == 0, done.stderr
        token = json.loads(done.stdout)["AuthenticationResult"]["IdToken"]
        done = running.aws(
            *("cognito-idp", "admin-get-user", "--user-pool-id", POOL_ID, "--username", "student")
        )
        assert json.loads(done.stdout)["UserStatus"] == "CONFIRMED"
        # Take notes.
        with running.client() as stranger:
            refused = stranger.get("/notes")
            assert (refused.status_code, refused.json()) == (401, {"message": "Unauthorized"})
            assert stranger.get("/notes", headers={"Authorization": token + "x"}).status_code == 401
        with running.client(token) as student:
            assert (student.get("/notes").status_code, student.get("/notes").json()) == (200, [])
            created = student.post("/notes", json={"NoteId": "999", "Note": "An engine"})
            assert created.status_code == 201
            assert student.get("/Prod" + created.headers["location"]).json() == created.json()
            student.post("/notes", json={"Note": "weaves patterns"})
            assert len(student.get("/notes").json()) == 2
            found = student.get("/notes/search?text=ENGINE").json()
            assert [note["NoteId"] for note in found] == ["999"]
            assert student.delete("/notes/1000").status_code == 204
            assert student.get("/userinfo").json() == {
                "name": "student",
                "email": None,
                "nickname": None,
            }
        assert token not in running.log
        assert "engine" not in running.log.lower()
    with notegate(tmp_path) as running:
        done = running.aws(*initiate)
        assert done.returncode == 0, done.stderr
        again = json.loads(done.stdout)["AuthenticationResult"]["IdToken"]
        for each in (token, again):  # the old token's key is still the pool's
            with running.client(each) as student:
                notes = student.get("/notes").json()
                assert [note["Note"] for note in notes] == ["An engine"]


def test_the_demo_user_signs_in_and_is_described(tmp_path: Path) -> None:
    with notegate(tmp_path, "--stage", "test") as running:
        with running.client(running.sign_in()["IdToken"]) as student:
            answer = student.get("/test/userinfo")
            assert answer.json() == {
                "name": "student",
                "email": "student@example.com",
                "nickname": "Stu",
            }
        assert "user     student    password  student" in running.log
