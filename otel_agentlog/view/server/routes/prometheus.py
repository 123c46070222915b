"""``/metrics``: the figures of the folders for Prometheus to scrape."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from otel_agentlog.view.render.prometheus import prometheus_text
from otel_agentlog.view.server.context import ServerContext
from otel_agentlog.view.server.problems import documented
from otel_agentlog.vocabulary.prometheus_text import MEDIA_TYPE


def metrics_router(context: ServerContext) -> APIRouter:
    """``/metrics``."""
    router = APIRouter(tags=["all tasks"])
    text = {"text/plain": {"schema": {"type": "string"}}}

    @router.get(
        "/metrics",
        summary="Figures of all tasks as Prometheus text",
        operation_id="get_metrics",
        response_class=Response,
        responses={200: {"content": text, "description": "The figures"}, **documented()},
    )
    def metrics() -> Response:
        return Response(prometheus_text(context.root), media_type=MEDIA_TYPE, headers={"cache-control": "no-store"})

    return router
