"""How people see tasks: command line, REST and web page, terminal monitor, notifications.

cli/         the program ``agentlog``
render/      text, tables, pages
server/      REST, live streams, the page's files
web/         the page: index.html, main.js, pages/, task/, values/, css/
monitor/     the terminal monitor
mcp/         the record for agents, by the Model Context Protocol
collect/     a receiver of OTLP that files what programs send
backends/    spans and log records of a backend, as task folders again
alerting.py  alerts from the folders
notify.py    alerts to Slack, e-mail and the like, by Apprise
"""
