"""fastapi-cognito as its README shows, with a token model of its own for ID tokens.

``jwks_url`` is the library's documented setting for a local pool; nothing is patched.
"""

from __future__ import annotations

import os
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from fastapi_cognito import CognitoAuth, CognitoSettings
from mangum import Mangum
from pydantic import BaseModel, Field
from pydantic_settings import BaseSettings

from tests.benchmarks.peers import data


class Settings(BaseSettings):
    check_expiration: bool = True
    jwt_header_prefix: str = "Bearer"
    jwt_header_name: str = "Authorization"
    userpools: dict[str, dict[str, Any]] = {
        "eu": {
            "region": os.environ["POOL_REGION"],
            "userpool_id": os.environ["POOL_ID"],
            "app_client_id": os.environ["APP_CLIENT_ID"],
            "jwks_url": os.environ["JWKS_URL"],
        },
    }


class IdToken(BaseModel):
    sub: str
    token_use: str
    aud: str
    iss: str
    exp: int
    iat: int
    username: str = Field(alias="cognito:username")


class Note(BaseModel):
    UserId: str
    NoteId: str
    Note: str
    UpdatedAt: str


class NewNote(BaseModel):
    Note: str


app = FastAPI()
cognito = CognitoAuth(
    settings=CognitoSettings.from_global_settings(Settings()), custom_model=IdToken
)
User = Annotated[IdToken, Depends(cognito.auth_required)]


@app.get("/notes")
def list_notes(auth: User) -> list[Note]:
    return [Note(**note) for note in data.list_notes(auth.username)]


@app.post("/notes", status_code=201)
def add_note(note: NewNote, auth: User) -> Note:
    return Note(**data.add_note(auth.username, note.Note))


handler = Mangum(app, lifespan="off")
