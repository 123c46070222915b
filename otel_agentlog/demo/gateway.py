"""Process 1: a comment on GitHub comes in as a webhook and becomes a task in a queue.

Nothing is received or sent over a network: the request is made here, signed and checked as a real one would be.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import uuid
from dataclasses import dataclass

import otel_agentlog as agentlog
from otel_agentlog.demo.job import Job
from otel_agentlog.demo.survey import printable

SERVICE_NAME = "demo-gateway"
QUEUE = "tasks"

_COMMAND = re.compile(r"^@reviewer\s+(?P<command>\w+)", re.MULTILINE)

log = agentlog.get_logger(__name__, agentlog.Component.WEB)


@dataclass(frozen=True)
class Request:
    """An HTTP request as it arrived."""

    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Queued:
    """A task that waits for a worker."""

    task_id: str
    trace_id: str
    carrier: dict[str, str]
    """W3C headers; whoever has them can continue the task."""


def receive(job: Job) -> Queued:
    """Take the webhook through its six stages. Entering it records the first, ``received``.

    Raises:
        PermissionError: the signature is wrong.
    """
    secret = secrets.token_bytes(32)
    request = _comment(job, secret)
    event = json.loads(request.body)
    with agentlog.webhook("github", "issue_comment.created", payload=event) as hook:
        _validate(request, secret, hook)
        matched = _COMMAND.search(event["comment"]["body"])
        hook.stage("command_matching", command=matched["command"] if matched else None, matched=matched is not None)
        hook.stage("immediate_response", reaction="eyes", comment_id=event["comment"]["id"])
        task_id = hook.create_task(
            f"Review {os.path.basename(printable(job.path)) or '/'}",
            input={"message": job.message, "path": printable(job.path)},
            agent="reviewer",
            agent_type="code_review",
            model=job.model,
            correlation_id=request.headers["X-GitHub-Delivery"],
            session_id=f"{event['repository']['full_name']}#{event['issue']['number']}",
            tags=["demo"],
        )
        carrier = hook.push(QUEUE)
        log.info("task queued", queue=QUEUE, queued_task=task_id)
    return Queued(task_id, hook.trace_id, carrier)


def _validate(request: Request, secret: bytes, hook: agentlog.Webhook) -> None:
    sent, computed = request.headers["X-Hub-Signature-256"], _signature(request.body, secret)
    passed = hmac.compare_digest(sent, computed)
    hook.stage("validation", status="passed" if passed else "failed", method="X-Hub-Signature-256", body_bytes=len(request.body))
    if not passed:
        raise PermissionError("the webhook's signature is wrong")


def _signature(body: bytes, secret: bytes) -> str:
    return f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"


def _comment(job: Job, secret: bytes) -> Request:
    """A request in the shape of GitHub's ``issue_comment`` webhook (docs.github.com, "Webhook events and payloads")."""
    login = {"login": "ada", "id": 1815, "type": "User"}
    event = {
        "action": "created",
        "issue": {"number": 42, "title": "Is this directory in good shape?", "state": "open", "user": login, "labels": []},
        "comment": {
            "id": 2_048_000_042,
            "body": f"@reviewer review\n\n{job.message}",
            "created_at": "2026-11-21T05:22:01Z",
            "user": login,
            "author_association": "OWNER",
        },
        "repository": {"id": 7, "full_name": "example/reviewed", "private": False, "default_branch": "main"},
        "sender": login,
    }
    body = json.dumps(event).encode()
    headers = {
        "X-GitHub-Event": "issue_comment",
        "X-GitHub-Delivery": str(uuid.uuid4()),
        "X-Hub-Signature-256": _signature(body, secret),
    }
    return Request(headers, body)
