"""Causes that lie in what ran, in what it may do, and in what is used up."""

from __future__ import annotations

from collections.abc import Mapping

from otel_agentlog.guard.suggestions_words import Cause, ErrorCategory

VALIDATION = ErrorCategory.VALIDATION
DEPENDENCY = ErrorCategory.DEPENDENCY
EXECUTION = ErrorCategory.EXECUTION
PERMISSION = ErrorCategory.PERMISSION
RESOURCE = ErrorCategory.RESOURCE
UNKNOWN = ErrorCategory.UNKNOWN

INNER: Mapping[str, Cause] = {
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
