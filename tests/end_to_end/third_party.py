"""An agent that knows OpenTelemetry alone: ``third_party.py [HOW]``, HOW being ``fails``, ``threads`` or ``nothing``."""

import sys
import threading

from opentelemetry import trace

tracer = trace.get_tracer("third.party")
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 5,
}


def main(how: str) -> None:
    if how == "nothing":
        return
    with tracer.start_as_current_span("agent", attributes={"gen_ai.agent.name": "planner", "input.value": "do it"}) as span:
        with tracer.start_as_current_span("chat gpt-4o", attributes=CHAT):
            pass
        span.set_attribute("output.value", "done")
        if how == "fails":
            raise ValueError("it broke")
    if how == "threads":
        thread = threading.Thread(target=lambda: tracer.start_span("in a thread").end())
        thread.start()
        thread.join()


main(sys.argv[1] if len(sys.argv) > 1 else "")
