"""The application as a whole, and its endpoints as a router for an application of the user's own."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import HTTPConnection

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.settings.version import __version__
from otel_agentlog.view.server.access import LOOPBACK_HOSTS, AccessMiddleware, AccessPolicy, HeadAsGet
from otel_agentlog.view.server.context import ServerContext
from otel_agentlog.view.server.limits import Limits
from otel_agentlog.view.server.params import check_repeats
from otel_agentlog.view.server.problems import ProblemBody, add_problem_handlers
from otel_agentlog.view.server.routes.compare import compare_router
from otel_agentlog.view.server.routes.control import control_router
from otel_agentlog.view.server.routes.logs import logs_router
from otel_agentlog.view.server.routes.notes import notes_router
from otel_agentlog.view.server.routes.overview import overview_router
from otel_agentlog.view.server.routes.prometheus import metrics_router
from otel_agentlog.view.server.routes.tasks import task_router
from otel_agentlog.view.server.static import static_router
from otel_agentlog.view.server.streams import Slots

DESCRIPTION = "What agents did, from the folders they left. Described in docs/server.md."


def create_app(
    root: str | Path,
    *,
    token: str | None = None,
    reads_need_token: bool = False,
    allow_control: bool = False,
    allow_hosts: Collection[str] = (),
    trace_url: str | None = None,
    limits: Limits | None = None,
) -> FastAPI:
    """Return the whole application: REST, live streams, metrics and the page. It can be mounted below any path.

    Args:
        root: the folder that holds the task folders.
        token: what clients must send, as ``Authorization: Bearer <token>``, to change anything, and to read from another host.
        reads_need_token: whether clients of this host must send it to read, too.
        allow_control: whether tasks may be paused, resumed and cancelled and be given context.
        allow_hosts: host names that requests may be for besides those of the loopback, for example ``agents.example``.
        trace_url: URL of a trace elsewhere with ``{trace_id}`` in it, such as ``http://localhost:16686/trace/{trace_id}``.

    Raises:
        ConfigurationError: `reads_need_token` or `allow_control` without a token.
    """
    limits = limits or Limits()
    if token is None and (reads_need_token or allow_control):
        raise ConfigurationError("token", token, "a token where reads_need_token or allow_control is set")
    context = ServerContext(Path(root).absolute(), allow_control=allow_control, trace_url=trace_url, limits=limits)
    policy = AccessPolicy(token, reads_need_token, LOOPBACK_HOSTS | {name.lower() for name in allow_hosts}, limits)
    app = FastAPI(
        title="agentlog",
        version=__version__,
        description=DESCRIPTION,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(_routes(context))
    app.include_router(static_router())
    add_problem_handlers(app)
    app.add_middleware(HeadAsGet)
    app.add_middleware(AccessMiddleware, policy=policy)
    _describe(app)
    return app


def make_router(
    root: str | Path,
    *,
    token: str | None = None,
    allow_control: bool = False,
    allow_hosts: Collection[str] = (),
    trace_url: str | None = None,
    limits: Limits | None = None,
) -> APIRouter:
    """Return the endpoints below ``/api`` and ``/metrics`` for an application of the user's own; without the page.

    Host, Origin and token are checked as in `create_app`; limits of bodies and headers of answers are the application's.
    """
    limits = limits or Limits()
    context = ServerContext(Path(root).absolute(), allow_control=allow_control, trace_url=trace_url, limits=limits)
    policy = AccessPolicy(token, False, LOOPBACK_HOSTS | {name.lower() for name in allow_hosts}, limits)

    async def check(connection: HTTPConnection) -> None:
        policy.check(connection.scope)

    router = APIRouter(dependencies=[Depends(check)])
    router.include_router(_routes(context))
    return router


def _routes(context: ServerContext) -> APIRouter:
    router, slots = APIRouter(dependencies=[Depends(check_repeats)]), Slots(context.limits.streams)
    router.include_router(overview_router(context, slots))
    router.include_router(compare_router(context))
    router.include_router(logs_router(context))
    router.include_router(task_router(context, slots))
    router.include_router(control_router(context))
    router.include_router(notes_router(context))
    router.include_router(metrics_router(context))
    return router


def _describe(app: FastAPI) -> None:
    """Add the form of refusals and the bearer token to the OpenAPI document."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            components = found.setdefault("components", {})
            components.setdefault("schemas", {})["ProblemBody"] = ProblemBody.model_json_schema()
            components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            found["security"] = [{}, {"token": []}]
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
