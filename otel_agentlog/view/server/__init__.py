"""The REST interface, its live streams and the web page: an application of its own, or parts for the user's.

Needs the extra ``server`` (``pip install 'otel_agentlog[server]'``)::

    from otel_agentlog.view.server import create_app, make_router

    app = FastAPI()
    app.mount("/agentlog", create_app("/var/lib/agent/tasks", token=token))     # REST, live, metrics, page
    app.include_router(make_router("/var/lib/agent/tasks"), prefix="/agentlog")   # REST, live and metrics alone
"""

from otel_agentlog.view.server.access import read_or_make_token
from otel_agentlog.view.server.app import create_app, make_router
from otel_agentlog.view.server.limits import Limits

__all__ = ["Limits", "create_app", "make_router", "read_or_make_token"]
