"""Every setting: frozen, checked when it is loaded, and read from the environment here only.

fields.py    `Settings` with all defaults and variables; `load`, `read_config_file`
parsers.py   how a value becomes that of a setting, or is refused; the standard variables of a connection
standard.py  variables that other software reads too: what can be used of them, and what the OpenTelemetry SDK must not see
variables.py variables of the environment that are set for a while, or asked for one by one
version.py   the version of the package
"""
