"""The REST interface, its live streams and the web page: an application of its own, or parts for the user's.

Needs the extra ``server`` (``pip install 'otel_agentlog[server]'``)::

    from otel_agentlog.view.server import create_app, make_router

    app = FastAPI()
    app.mount("/agentlog", create_app("/var/lib/agent/tasks", token=token))     # REST, live, metrics, page
    app.include_router(make_router("/var/lib/agent/tasks"), prefix="/agentlog")   # REST, live and metrics alone

Its files:

    app.py         the application and the router
    serving.py     the application run by uvicorn
    routes/        the endpoints
    access.py      Host, Origin, bearer token, security headers
    params.py      query parameters
    context.py     the root that is served, what clients may do, the task that a URL names
    responses.py   JSON answers, entity tags
    problems.py    refusals
    limits.py      sizes and times
    line_pages.py  files of lines, in pages and in pieces
    streams.py     live streams of a task
    live_reports.py  reports about tasks that go on, and what has changed in them
    snapshot.py    the overview, and its live stream
    static.py      the page and its files
"""

from otel_agentlog.view.server.access import read_or_make_token
from otel_agentlog.view.server.app import create_app, make_router
from otel_agentlog.view.server.limits import Limits

__all__ = ["Limits", "create_app", "make_router", "read_or_make_token"]
