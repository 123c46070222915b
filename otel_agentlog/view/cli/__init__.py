"""The command line ``agentlog``. Each command is a module with ``arguments(parser)`` and ``run(options, context) -> exit code``.

main.py      the table of commands, parsing, errors and exit codes
context.py   root, log directories and screen of one command; the options of all commands
damage.py    what commands over a whole root say about damaged folders
source.py    ``--from``: what a command needs is brought from a backend first
listening.py where commands listen
options.py   the options that choose tasks, and types of theirs
values.py    types of options: numbers, and what other functions read
queries/     commands that read
actions/     commands that change, send, serve or follow
"""
