"""What to do about an error: the known causes, each with its category and advice, and general advice for each category.

The texts are fixed: they contain nothing of an exception, so they may be shown to users.
"""

from __future__ import annotations

from collections.abc import Mapping

from otel_agentlog.error_handling.category import Cause, ErrorCategory

VALIDATION = ErrorCategory.VALIDATION
DEPENDENCY = ErrorCategory.DEPENDENCY
EXECUTION = ErrorCategory.EXECUTION
PERMISSION = ErrorCategory.PERMISSION
RESOURCE = ErrorCategory.RESOURCE
TIMEOUT = ErrorCategory.TIMEOUT
UNKNOWN = ErrorCategory.UNKNOWN

CAUSES: Mapping[str, Cause] = {
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
            "Start the service, or correct host and port: no process listens there.",
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
    # -- what ran
    "nonzero_exit": Cause(
        EXECUTION,
        (
            "Read what the command wrote to standard error: it stands in the folder behind the tool run.",
            "Run the recorded command by hand in the same working directory.",
            "Look up what this exit code means for this program.",
        ),
    ),
    "killed": Cause(
        EXECUTION,
        (
            "Find out who sent the signal: the kernel when memory ran out (`dmesg`), a time limit, or an operator.",
            "Watch the process's memory; raise its limit or give it less to do.",
        ),
    ),
    "worker_died": Cause(
        EXECUTION,
        (
            "A worker process ended without a word: look for a crash in native code, or for the kernel's out-of-memory killer.",
            "Run the same job outside of the pool to see how it ends.",
        ),
    ),
    "assertion": Cause(
        EXECUTION,
        (
            "Something that must hold did not: look at the values around the assertion, not at the assertion.",
            "If it is a test, it may be right: look at what changed last.",
        ),
    ),
    "programming": Cause(
        EXECUTION,
        (
            "This is a defect in the code: the last line of the traceback in your own files is where it is.",
            "Check for `None` where an object is expected, and for names that changed.",
            "Run the type checker: it finds most errors of this kind.",
        ),
    ),
    "arithmetic": Cause(EXECUTION, ("Guard the calculation: an empty list or a zero is the usual cause.",)),
    "not_implemented": Cause(EXECUTION, ("Choose another way for this case, or implement it: nobody has yet.",)),
    "state": Cause(
        EXECUTION, ("Check the order of the calls: it had ended, or had not begun.", "Look for two owners of the same object.")
    ),
    "conflict": Cause(
        EXECUTION,
        ("Somebody else changed the same thing: read it again, apply the change, and try once more.", "Serialise the writers."),
    ),
    "worktree": Cause(
        EXECUTION,
        (
            "Look at `git worktree list` and `git status`: a branch that is checked out elsewhere, or changes not committed?",
            "Remove what a dead run left: `git worktree prune`.",
        ),
    ),
    "tmux": Cause(
        EXECUTION,
        (
            "Look at `tmux ls`: does the session exist, or one of the same name already?",
            "Check that the tmux server runs for this user, and that TMUX_TMPDIR is the same.",
        ),
    ),
    "instance": Cause(
        EXECUTION,
        (
            "Look at the last lines of that instance (`agentlog tail`): how far did it come?",
            "Stop what is left of it, and start it anew.",
        ),
    ),
    "task": Cause(EXECUTION, ("Look at the task's tree (`agentlog show TASK`): which step was the first to fail?",)),
    # -- rights
    "file_permission": Cause(
        PERMISSION,
        (
            "Check owner and mode of the file and of every folder above it (`namei -l PATH`).",
            "Check which user this runs as; in containers it often is another one than outside.",
            "For a script: give it the right to be executed (`chmod +x`).",
        ),
    ),
    "read_only": Cause(
        PERMISSION,
        (
            "Write somewhere else: this file system is mounted read-only.",
            "In containers mount a volume for what must be written.",
        ),
    ),
    "authentication": Cause(
        PERMISSION,
        (
            "Check the API key: is it set in this environment, whole, and not expired or revoked?",
            "Check that the key belongs to this endpoint: region, organisation, test or production.",
            "Make a new key if it may have leaked or run out.",
        ),
    ),
    "forbidden": Cause(
        PERMISSION,
        (
            "The key is known but may not do this: check its scopes, the project's rights and the model's access.",
            "Look whether a policy, region or IP allow-list refuses the request.",
        ),
    ),
    # -- what is used up
    "rate_limit": Cause(
        RESOURCE,
        (
            "Wait as long as `Retry-After` says, then retry with exponential backoff and jitter.",
            "Send fewer requests at once, or fewer tokens a minute; batch what is not urgent.",
            "Ask for a higher limit if this is the normal load.",
        ),
    ),
    "quota": Cause(
        RESOURCE,
        (
            "Check credit, plan and monthly limit of the account: waiting does not help here.",
            "Use a cheaper model or a smaller prompt until the quota is renewed.",
        ),
    ),
    "out_of_memory": Cause(
        RESOURCE,
        (
            "Work in pieces: stream or page through the data instead of holding all of it.",
            "Look at `memory_peak_mb` of earlier runs, and raise the limit if this one is normal.",
            "Run fewer of these at the same time.",
        ),
    ),
    "disk_full": Cause(
        RESOURCE,
        (
            "Free space (`df -h`, `du -sh *`), or write to another disk.",
            "Let agentlog keep less: `agentlog prune`, `TASK_LOGS_MAX_BYTES`, `TASK_LOGS_RETENTION_DAYS`.",
            "Check inodes too (`df -i`), and the user's quota.",
        ),
    ),
    "too_many_files": Cause(
        RESOURCE,
        (
            "Close files, sockets and clients when done (`with …`); count them in /proc/PID/fd.",
            "Share one HTTP client instead of making one a request.",
            "Raise the limit (`ulimit -n`) if the number is right.",
        ),
    ),
    "too_many_processes": Cause(
        RESOURCE,
        (
            "Look for processes or threads that are started and never end (`ps -eLf | wc -l`).",
            "Use a pool of fixed size; raise `ulimit -u` or the container's pid limit only after that.",
        ),
    ),
    "recursion": Cause(
        RESOURCE,
        (
            "Look for a call without an end: the repeating lines in the traceback are the circle.",
            "Walk deep structures with a list of what is left to do instead of recursion.",
        ),
    ),
    "locked": Cause(
        RESOURCE,
        (
            "Find who holds the lock (`fuser`, `lslocks`), and whether that one is still alive.",
            "Wait and retry with a limit; keep transactions short.",
            "For SQLite set a busy timeout and WAL mode.",
        ),
    ),
    "port_taken": Cause(
        RESOURCE,
        ("Find who listens on the port (`ss -ltnp`), or choose another one.", "Bind port 0 and read which one was given."),
    ),
    "limit": Cause(RESOURCE),
    "validation": Cause(VALIDATION),
    "dependency": Cause(DEPENDENCY),
    "execution": Cause(EXECUTION),
    "permission": Cause(PERMISSION),
    "resource": Cause(RESOURCE),
    "unknown": Cause(UNKNOWN),
}
"""Every known cause by its name: first those outside of what ran (time, input, dependencies), then those inside."""

LEAST = 3
"""How many suggestions there are at least for any error."""

GENERAL: Mapping[ErrorCategory, tuple[str, ...]] = {
    ErrorCategory.TIMEOUT: (
        "Look at the durations around it (`agentlog show TASK`): was it slow from the start, or did it hang at the end?",
        "Raise the time limit of this one operation if its usual duration comes close to it.",
        "Split the work into smaller parts, each with a time limit of its own.",
        "Retry with exponential backoff if the other side is busy at times.",
    ),
    ErrorCategory.VALIDATION: (
        "Compare the input recorded with this step (`01-input.json`, `details.arguments`) with what is expected.",
        "Check the input before the call, and tell the model in words what was wrong with it.",
        "Do not retry with the same input: it will fail again.",
    ),
    ErrorCategory.DEPENDENCY: (
        "Check that the service, package or program is there and runs in the version that is expected.",
        "Try it by hand from the same machine, with the same user and environment.",
        "Retry with backoff, and give a `fallback=` for the time it is away.",
    ),
    ErrorCategory.EXECUTION: (
        "Read the traceback from its end: the last line in your own code is where to begin (`agentlog errors ID`).",
        "Run the same step again with the recorded input and level DEBUG.",
        "Catch this error where something sensible can be done, with `handle_errors(recovery_strategy=…)`.",
    ),
    ErrorCategory.PERMISSION: (
        "Check which user or which key this ran with, and what that one may do.",
        "Grant exactly the right that is missing, not more.",
        "Do not retry before something was changed: it will fail again.",
    ),
    ErrorCategory.RESOURCE: (
        "Look at what is used up at that moment: memory, disk, open files, processes, quota.",
        "Do less at once: lower the concurrency, or the size of a batch.",
        "Free what is no longer needed, or raise the limit, and try again later.",
    ),
    ErrorCategory.UNKNOWN: (
        "Look up the traceback and what happened just before it (`agentlog errors ID`).",
        "Try the same step again: if it fails each time, its input is the key.",
        "Teach agentlog this kind of error with `register_category(…)`, so that the next one comes with advice.",
    ),
}


def advice(category: ErrorCategory, special: tuple[str, ...]) -> tuple[str, ...]:
    """The special suggestions, filled up with the category's general ones to at least `LEAST`."""
    general = [text for text in GENERAL[category] if text not in special]
    return special + tuple(general[: max(0, LEAST - len(special))])
