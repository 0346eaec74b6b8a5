"""The app for an ASGI server: ``uvicorn app.main:app``."""

from __future__ import annotations

from app import logs
from app.application import create_app
from app.settings import SettingsError, load_settings
from app.store import StoreUnusable

try:
    settings = load_settings()
    logs.set_up_server(settings.log_level)
    app = create_app(settings)
except (SettingsError, StoreUnusable) as error:
    raise SystemExit(f"Notegate cannot start.\n{error}") from None
