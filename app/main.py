"""The app for an ASGI server: ``uvicorn app.main:app``."""

from __future__ import annotations

import logging

from app.application import create_app, without_query
from app.settings import SettingsError, load_settings
from app.store import StoreUnusable

logging.getLogger("uvicorn.access").addFilter(without_query)

try:
    settings = load_settings()
    logging.basicConfig(level=settings.log_level)
    app = create_app(settings)
except (SettingsError, StoreUnusable) as error:
    raise SystemExit(f"Notegate cannot start.\n{error}") from None
