"""A web application for the tests, run by uvicorn: ``python web_app.py PORT ROOT``."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

import otel_agentlog as agentlog
from otel_agentlog.integrations.asgi import AgentlogMiddleware


async def order(request: Request) -> JSONResponse:
    """A step, an echo of the body, its task's ids."""
    with agentlog.step("look up"):
        await asyncio.sleep(0)
        body = (await request.body()).decode()
    return JSONResponse({"task": agentlog.current_task(), "order": request.path_params["number"], "body": body})


async def broken(request: Request) -> JSONResponse:
    """An error of the application's."""
    raise ValueError("out of stock")


async def unavailable(request: Request) -> JSONResponse:
    """An answer that is an error."""
    raise HTTPException(503)


async def ticks(request: Request) -> StreamingResponse:
    """Events until the client has gone, or three."""

    async def events() -> AsyncIterator[str]:
        for number in range(3 if "few" in request.query_params else 10_000):
            agentlog.current_operation().output(str(number))  # type: ignore[union-attr]
            yield f"data: {number}\n\n"
            await asyncio.sleep(0.01)

    return StreamingResponse(events(), media_type="text/event-stream")


async def queued(request: Request) -> JSONResponse:
    """A job that outlives the request."""
    carrier = agentlog.current_operation().carrier(hand_over=True)  # type: ignore[union-attr]

    async def job() -> None:
        with agentlog.task(resume=carrier) as task:
            await asyncio.sleep(0.05)
            task.result = "done"

    return JSONResponse({"task": agentlog.current_task()}, 202, background=BackgroundTask(job))


async def hook(request: Request) -> JSONResponse:
    """A webhook that creates a task."""
    found: Any = agentlog.current_operation()
    return JSONResponse({"task": found.create_task("review"), "event": found.event_type})


async def dies(request: Request) -> JSONResponse:
    """The process is killed meanwhile."""
    os.kill(os.getpid(), 9)
    return JSONResponse({})


async def healthy(request: Request) -> PlainTextResponse:
    """Asked every second by whoever."""
    return PlainTextResponse("ok")


async def echo(socket: WebSocket) -> None:
    """Echo until the other side closes."""
    await socket.accept()
    while (text := await socket.receive_text()) != "bye":
        await socket.send_text(text)
    await socket.close()


def application(root: Path) -> Starlette:
    """The application, recording below a root."""
    agentlog.configure(service_name="web", directory=root, log_directory=root.parent / "logs", console="off")
    inner = [Route("/{number:int}", order, methods=["GET", "POST"])]
    routes = [
        Mount("/orders", routes=inner),
        Route("/broken", broken),
        Route("/unavailable", unavailable),
        Route("/ticks", ticks),
        Route("/queued", queued, methods=["POST"]),
        Route("/hooks/{provider}", hook, methods=["POST"]),
        Route("/dies", dies),
        Route("/healthz", healthy),
        WebSocketRoute("/echo", echo),
    ]
    app = Starlette(routes=routes)
    app.add_middleware(AgentlogMiddleware, webhooks=["/hooks/*"], agent="web")
    return app


if __name__ == "__main__":
    started = time.monotonic()
    uvicorn.run(application(Path(sys.argv[2])), port=int(sys.argv[1]), log_level="warning")
