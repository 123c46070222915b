"""Lifecycle helpers: one call for each thing that happens around an agent.

Inside a task they stand in its folder; outside of it in the application log, or in the open task that they name. Run it with
``TASK_LOGS_DIR=/tmp/tasks python examples/lifecycle_helpers.py``.
"""

from __future__ import annotations

import json

import otel_agentlog as agentlog

settings = agentlog.configure(service_name="lifecycle-helpers")

# No task is open: these go into the application log.
agentlog.events.log_instance_lifecycle("brain-1", "create", "success", {"image": "brain:3"})
agentlog.events.log_tmux_session("brain-1", "create", details={"window": "main"})
agentlog.events.log_tmux_session("brain-1", "layout", details={"panes": 4})
agentlog.events.log_tmux_session("old-session", "orphan_found")
agentlog.events.log_service_status("redis", "up")

with agentlog.task("Review PR 42", task_id="review-42"):
    agentlog.events.log_task_assignment("review-42", "brain-1", {"queue": "tasks"})
    agentlog.events.log_worktree_operation("create", "/worktrees/42", branch="pr-42")
    agentlog.events.log_database_operation("insert", "reviews", rows=1)
    agentlog.events.log_web_request("POST", "/webhooks/github", request_id="r-1")
    agentlog.events.log_web_response("POST", "/webhooks/github", 202, request_id="r-1")
    agentlog.events.log_websocket_event("connect", "socket-1")
    agentlog.events.log_authentication("ann", True, method="token")
    agentlog.events.log_authentication("mallory", False, method="token", reason="expired")
    agentlog.events.log_github_call("create_review", "acme/shop#42", 201)
    agentlog.events.log_jira_call("transition", "SHOP-7", 404)
    agentlog.events.log_webhook_processing("github", "pull_request.opened", "processed")
    agentlog.events.log_rate_limit("github", remaining=0, limit=5000, retry_after_s=30)
    agentlog.events.log_file_event("write", "review.md", size_bytes=812)
    agentlog.events.log_resource_usage("brain-1", cpu_percent=12.5, memory_mb=310.0, disk_usage_mb=42.0)
    agentlog.events.log_websocket_event("disconnect", "socket-1")
    agentlog.events.log_event(agentlog.Component.ORCHESTRATOR, "coffee_made", "somebody made coffee", details={"cups": 2})

agentlog.events.log_tmux_session("brain-1", "cleanup")
agentlog.events.log_service_status("redis", "down", {"since": "just now"})
agentlog.shutdown()

for text in (settings.directory / "review-42" / "03-agent-output.jsonl").read_text().splitlines():
    line = json.loads(text)
    if line["type"] == "event":
        print(f"{line['level']:8}{line['component']:16}{line['action']:26}{line['message']}")
