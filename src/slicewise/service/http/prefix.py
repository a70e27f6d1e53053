"""The path prefix below which a proxy shows this service."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class PathPrefix:
    """Makes the path of a request what ASGI asks for, `root_path` first; the outermost middleware.

    uvicorn and FastAPI have a `root_path` too, but each serves one kind of proxy only: uvicorn's
    adds the prefix even where the proxy left it on.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app, self._prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "root_path": self._prefix}
            if not f"{scope['path']}/".startswith(f"{self._prefix}/"):  # the proxy took it off
                scope["path"] = self._prefix + scope["path"]
        await self._app(scope, receive, send)


def own_path(scope: Scope) -> str:
    """The path without the prefix: as routes have it."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")) or "/"
