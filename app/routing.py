"""Routers whose routes become the app's own.

FastAPI's ``include_router`` keeps a router as a branch of its own: its routes are analysed twice,
and every request is matched at two levels. Here the routes themselves go into the app.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI


def make_router(**options: Any) -> APIRouter:
    """Return a router with what all routes of this app have in common; ``options``: APIRouter's."""
    return APIRouter(
        # API Gateway takes a body without Content-Type for JSON, and so does this app.
        strict_content_type=False,
        # The operation ids in the description: a client made from it gets readable names.
        generate_unique_id_function=lambda route: route.name,
        **options,
    )


def add_routes(app: FastAPI, router: APIRouter) -> None:
    """Give the app the router's routes, behind those that it has."""
    app.router.routes.extend(router.routes)
