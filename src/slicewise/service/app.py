"""The application: routes, errors, and what is opened and closed around them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from slicewise import __version__
from slicewise.inference.results import DISCLAIMER
from slicewise.service.access.auth import Access
from slicewise.service.access.headers import Guard, SecurityHeaders
from slicewise.service.compat import analysis, pages
from slicewise.service.compat import metrics as compat_metrics
from slicewise.service.compat import predictions as compat_predictions
from slicewise.service.http import problems
from slicewise.service.http.body import BodyLimit
from slicewise.service.http.examples import add_examples
from slicewise.service.http.prefix import PathPrefix
from slicewise.service.http.routes import (
    docs,
    evaluation,
    feedback,
    health,
    models,
    page,
    predictions,
    read,
    sample,
)
from slicewise.service.monitoring.logs import REQUEST_ID_HEADER, RequestLog
from slicewise.service.monitoring.metrics import Metrics
from slicewise.service.services import Services
from slicewise.service.settings import Settings

ROUTES = (
    *(predictions, read, feedback, evaluation, models, sample, health),
    *(compat_predictions, analysis, pages, compat_metrics, page, docs),
)


class Application(FastAPI):
    """FastAPI, which describes problems as problem documents only."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:  # made once: anybody may ask for it
            problems.remove_plain_json(super().openapi())
            add_examples(super().openapi())
        return super().openapi()


def create_app(
    settings: Settings, opened: Services | None = None, closed: Callable[[], None] = lambda: None
) -> FastAPI:
    """The service as an ASGI application.

    Args:
        opened: Its parts, which it closes when it ends; None to open them when it is started.
    """
    metrics = Metrics() if opened is None else opened.metrics

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        services = opened or Services.open(settings, metrics)
        app.state.services = services
        app.state.access = Access(settings, services.keys)
        try:
            yield
        finally:
            await services.close()
            closed()

    app = Application(
        title="SliceWise",
        version=__version__,
        summary="Brain MRI slices to answers that can be checked.",
        description=DISCLAIMER,
        lifespan=lifespan,
        openapi_url=None,  # it is a route of `docs`: FastAPI's own has no template in the log
        docs_url=None,
        redoc_url=None,
        servers=[{"url": settings.root_path}] if settings.root_path else None,
        license_info={"name": "MIT", "identifier": "MIT"},
    )
    problems.install(app)
    for module in ROUTES:
        app.include_router(module.router)
    _wrap(app, settings, metrics)
    return app


def _wrap(app: FastAPI, settings: Settings, metrics: Metrics) -> None:
    """Add what stands round every route; the last one added is the outermost."""
    app.add_middleware(BodyLimit, settings=settings)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key", REQUEST_ID_HEADER],
            expose_headers=[REQUEST_ID_HEADER, "Retry-After"],
        )
    app.add_middleware(Guard, settings=settings)
    app.add_middleware(
        RequestLog,
        metrics=metrics,
        on_failure=problems.failure_response,
        on_end=problems.ending_response,
        behind_proxy=settings.trusted_proxy is not None,
    )
    app.add_middleware(SecurityHeaders, settings=settings)
    if settings.root_path:
        app.add_middleware(PathPrefix, prefix=settings.root_path)
