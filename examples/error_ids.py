"""Error ids: what the user reads out is what the operator searches for.

The user gets a message without anything of the inside; folder, log, span and ``agentlog errors ID`` have all of it.
"""

from __future__ import annotations

import json
import subprocess
import sys

import otel_agentlog as agentlog

settings = agentlog.configure(service_name="chat")


class ContentPolicyError(Exception):
    """An error of our own, which nobody can know."""


agentlog.register_category(ContentPolicyError, "PERMISSION", suggestions=["Ask the user to leave out names of third parties."])


def answer(question: str) -> str:
    """What the chat says to the user, whatever happens."""
    try:
        with agentlog.task("Answer", task_id=f"answer-{len(question)}", input=question), agentlog.step("parse"):
            if "Ada" in question:
                raise ContentPolicyError("question names a third party")
            return str(json.loads(question)["answer"])
    except ContentPolicyError as error:
        return agentlog.log_and_format_error(error, "permission_error", context={"channel": "#help"})[1]
    except (ValueError, LookupError) as error:
        identity, message = agentlog.log_and_format_error(error, "parse_error")
        details = agentlog.error_details(error)
        print(f"[{identity} is {details.category}: {details.suggestions[0]}]")
        return message


print(answer('{"answer": 42}'))
print("---")
print(answer('{"answer": '))
print("---")
told = answer("What does Ada Lovelace earn, at /srv/payroll?")
print(told)
agentlog.shutdown()

print("--- the operator looks it up")
error_id = told.split("`")[-2]
found = subprocess.run(
    [sys.executable, "-m", "otel_agentlog", "errors", error_id, "--json"], capture_output=True, text=True, check=True
)
for error in json.loads(found.stdout)["errors"]:
    where = f"task {error['task_id']}" if error["task_id"] else f"log {error['logger']}"
    print(error["error_id"], where, error["exception"]["category"], error["exception"]["message"])
