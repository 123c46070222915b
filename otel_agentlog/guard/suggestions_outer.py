"""Causes that lie outside of what ran: too slow, given wrongly, or needed and not there."""

from __future__ import annotations

from collections.abc import Mapping

from otel_agentlog.guard.suggestions_words import Cause, ErrorCategory

TIMEOUT = ErrorCategory.TIMEOUT
VALIDATION = ErrorCategory.VALIDATION
DEPENDENCY = ErrorCategory.DEPENDENCY

OUTER: Mapping[str, Cause] = {
    # -- time
    "timeout": Cause(TIMEOUT),
    "http_timeout": Cause(
        TIMEOUT,
        (
            "Give the HTTP client a longer read timeout; streamed answers need only one between two chunks.",
            "Ask for a shorter answer (`max_tokens`), or stream it.",
        ),
    ),
    "connect_timeout": Cause(
        TIMEOUT,
        (
            "Check the address and whether a proxy or firewall swallows the connection: the other side never answered.",
            "Keep the timeout for connecting short (3–5 s) and retry.",
        ),
    ),
    "process_timeout": Cause(
        TIMEOUT,
        (
            "Run the command by hand and see where it waits: for input, a lock, the network?",
            "Close its standard input (`stdin=DEVNULL`): many programs wait for an answer there.",
            "Kill its whole process group on timeout, so that no child goes on.",
        ),
    ),
    "gateway_timeout": Cause(
        TIMEOUT,
        ("The server behind the gateway was too slow: retry with backoff.", "Send a smaller request, or stream the answer."),
    ),
    # -- what was given
    "invalid_json": Cause(
        VALIDATION,
        (
            "Look at the text itself: is it empty, cut off, in a code fence, or an HTML error page?",
            "Ask the model for JSON only, with its structured-output mode or a tool's schema.",
            "Send the parser's complaint back to the model and let it correct its answer once.",
        ),
    ),
    "invalid_document": Cause(
        VALIDATION,
        (
            "Check the document with a linter: the position in the message says where reading stopped.",
            "Check that it is the format it claims to be, whole and in the right encoding.",
        ),
    ),
    "schema_mismatch": Cause(
        VALIDATION,
        (
            "Compare the named fields with the schema: missing, of another type, or one too many?",
            "Put the schema into the prompt or the tool's definition, with one example.",
            "Check that both sides use the same version of the schema.",
        ),
    ),
    "invalid_encoding": Cause(
        VALIDATION,
        (
            "Read the bytes with the encoding they were written in, or with `errors='replace'` where it is only for showing.",
            "Check whether it is text at all: an archive or an image is not.",
        ),
    ),
    "missing_key": Cause(
        VALIDATION,
        (
            "Check that the key is there before it is used, or use `.get()` with a default.",
            "Look whether the answer came in another shape than usual, such as an error object.",
        ),
    ),
    "invalid_value": Cause(
        VALIDATION, ("Check the value against what the called function documents: range, format, emptiness.",)
    ),
    "invalid_arguments": Cause(
        VALIDATION,
        (
            "Compare the call with the function's signature: number, names and types of the arguments.",
            "If a model chose the arguments, check them against the tool's schema before the call.",
        ),
    ),
    "missing_file": Cause(
        VALIDATION,
        (
            "Check the path, and relative to which folder it was meant: the working directory may be another one.",
            "Check that the step that should have made the file ran, and succeeded.",
        ),
    ),
    "wrong_path": Cause(
        VALIDATION,
        (
            "Check what is at that path: a folder where a file is meant, or a file that exists already.",
            "Shorten names that are too long for the file system.",
        ),
    ),
    "syntax": Cause(
        VALIDATION,
        (
            "Check the code at the line the message names; text around generated code is the usual culprit.",
            "Parse generated code (`ast.parse`) before it is run, and return the complaint to the model.",
        ),
    ),
    "configuration": Cause(
        VALIDATION,
        (
            "Correct the setting that the message names; docs/settings.md lists them with their variables.",
            "Check which of code, agentlog.yaml and environment the value comes from.",
        ),
    ),
    "bad_request": Cause(
        VALIDATION,
        (
            "Read the service's answer: it says which parameter it refuses.",
            "Check the parameters against the service's current API version, and the model's limits.",
        ),
    ),
    "not_found_at_service": Cause(
        VALIDATION,
        (
            "Check the name or id in the request: model, repository, issue, path.",
            "Some services answer 404 where a right is missing: check what the key may see.",
        ),
    ),
    "too_large": Cause(
        VALIDATION,
        ("Send less: fewer files, a shorter history, a summary.", "Split the request into parts below the service's limit."),
    ),
    "context_window": Cause(
        VALIDATION,
        (
            "Shorten the conversation: drop or summarise the oldest turns and long tool results.",
            "Count tokens before sending, and keep room for the answer.",
            "Use a model with a larger context window for this step.",
        ),
    ),
    "constraint": Cause(
        VALIDATION,
        (
            "The database refuses this data: look which key, uniqueness or reference the constraint is about.",
            "Use an upsert where writing twice is normal.",
        ),
    ),
    # -- what is needed
    "missing_package": Cause(
        DEPENDENCY,
        (
            "Install the package into the environment that runs this (`python -m pip install …`, with the same python).",
            "Check which environment is active: `python -c 'import sys; print(sys.prefix)'`.",
            "If it is optional, install the extra that brings it.",
        ),
    ),
    "missing_program": Cause(
        DEPENDENCY,
        (
            "Install the program, or write its whole path: it is not on the PATH of this process.",
            "Check the interpreter in the script's first line (`#!`): is it installed here?",
            "Check the PATH that services and containers get: it is shorter than that of your shell.",
        ),
    ),
    "not_executable": Cause(
        DEPENDENCY,
        (
            "Check that the file is a program for this machine's architecture, or begins with `#!` and an interpreter.",
            "Look for Windows line endings behind the interpreter's name.",
        ),
    ),
    "connection_refused": Cause(
        DEPENDENCY,
        (
            "Start the service, or correct host and port: nobody listens there.",
            "From inside a container `localhost` is the container itself.",
            "Wait until the service is ready before the first call.",
        ),
    ),
    "connection_lost": Cause(
        DEPENDENCY,
        (
            "Retry: the other side closed the connection in the middle.",
            "Check its log at that moment: did it restart, or run out of memory?",
            "Keep idle connections shorter than the other side's limit.",
        ),
    ),
    "unreachable": Cause(
        DEPENDENCY,
        (
            "Check the network from this machine: is there a route, a proxy, a VPN that is off?",
            "Retry with backoff; short outages pass.",
        ),
    ),
    "dns": Cause(
        DEPENDENCY,
        (
            "Check the host's name for a typing error, and that this machine resolves it (`getent hosts NAME`).",
            "In containers check the network's name server; service names hold only inside their own network.",
        ),
    ),
    "tls": Cause(
        DEPENDENCY,
        (
            "Check the certificate: expired, for another name, or signed by an authority this machine does not know?",
            "Behind a company proxy give its certificate (`SSL_CERT_FILE`, `REQUESTS_CA_BUNDLE`).",
            "Check this machine's clock.",
        ),
    ),
    "service_unavailable": Cause(
        DEPENDENCY,
        (
            "Look at the service's status page, and retry with backoff, as `Retry-After` says.",
            "Have a fallback: another model, another region, a cached answer.",
        ),
    ),
    "overloaded": Cause(
        DEPENDENCY,
        (
            "The provider has no capacity at the moment: retry with long backoff and jitter.",
            "Fall back to another model or provider for this step.",
        ),
    ),
    "database": Cause(
        DEPENDENCY,
        (
            "Check that the database runs, accepts connections, and that its migrations are done.",
            "Check the pool: its size, and connections that are never given back.",
        ),
    ),
    "integration": Cause(
        DEPENDENCY,
        (
            "Check the status page of the service and when its key or webhook was last changed.",
            "Repeat the recorded request by hand with the same key.",
        ),
    ),
}
