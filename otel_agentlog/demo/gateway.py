"""Process 1: a comment on GitHub comes in as a webhook and becomes a task in a queue.

Nothing comes over a network: the request is made here, and signed and checked as a real one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import uuid

import otel_agentlog as agentlog
from otel_agentlog.demo.job import Job
from otel_agentlog.demo.survey import printable

SERVICE_NAME = "demo-gateway"
QUEUE = "tasks"
_SIGNATURE = "X-Hub-Signature-256"
_COMMAND = re.compile(r"^@reviewer\s+(?P<command>\w+)", re.MULTILINE)

log = agentlog.get_logger(__name__, agentlog.Component.WEB)


def receive(job: Job) -> tuple[str, str, dict[str, str]]:
    """Record a webhook's six stages; entering it records the first, ``received``.

    Returns:
        The task's id, the trace id, and the carrier: W3C headers that another process continues the task with.

    Raises:
        PermissionError: the signature is wrong.
    """
    secret = secrets.token_bytes(32)
    headers, body = _request(job, secret)
    event = json.loads(body)
    with agentlog.webhook("github", "issue_comment.created", payload=event) as hook:
        _validate(headers[_SIGNATURE], body, secret, hook)
        matched = _COMMAND.search(event["comment"]["body"])
        hook.stage("command_matching", command=matched["command"] if matched else None, matched=matched is not None)
        hook.stage("immediate_response", reaction="eyes", comment_id=event["comment"]["id"])
        task_id = hook.create_task(
            f"Review {os.path.basename(printable(job.path)) or '/'}",
            input={"message": job.message, "path": printable(job.path)},
            agent="reviewer",
            agent_type="code_review",
            model=job.model,
            correlation_id=headers["X-GitHub-Delivery"],
            session_id=f"{event['repository']['full_name']}#{event['issue']['number']}",
            tags=["demo"],
        )
        carrier = hook.push(QUEUE)
        log.info("task queued", queue=QUEUE, queued_task=task_id)
    return task_id, hook.trace_id, carrier


def _validate(sent: str, body: bytes, secret: bytes, hook: agentlog.Webhook) -> None:
    passed = hmac.compare_digest(sent, _signature(body, secret))
    hook.stage("validation", status="passed" if passed else "failed", method=_SIGNATURE, body_bytes=len(body))
    if not passed:
        raise PermissionError("the webhook's signature is wrong")


def _signature(body: bytes, secret: bytes) -> str:
    return f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"


def _request(job: Job, secret: bytes) -> tuple[dict[str, str], bytes]:
    """Headers and body of GitHub's ``issue_comment`` webhook (docs.github.com, "Webhook events and payloads")."""
    login = {"login": "ada", "id": 1815, "type": "User"}
    comment = {"id": 2_048_000_042, "body": f"@reviewer review\n\n{job.message}", "created_at": "2026-11-21T05:22:01Z"}
    event = {
        "action": "created",
        "issue": {"number": 42, "title": "Is this directory in good shape?", "state": "open", "user": login, "labels": []},
        "comment": {**comment, "user": login, "author_association": "OWNER"},
        "repository": {"id": 7, "full_name": "example/reviewed", "private": False, "default_branch": "main"},
        "sender": login,
    }
    body = json.dumps(event).encode()
    headers = {"X-GitHub-Event": "issue_comment", "X-GitHub-Delivery": str(uuid.uuid4()), _SIGNATURE: _signature(body, secret)}
    return headers, body
