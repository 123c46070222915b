"""Connections to web servers, job queues and agent frameworks; a module each, imported by those who use what it connects to.

They are users of the package: they import its public names only, and the packages they connect to inside functions.

asgi.py wsgi.py          middleware: a task or webhook per request
http_requests.py         what both have in common
celery.py rq.py arq.py   a job continues the task whose carrier it has
jobs.py                  what these have in common
frameworks.py            what the connections to agent frameworks share
openai_agents.py         openai-agents: a `TracingProcessor`
claude_agent.py          claude-agent-sdk: messages, clients, and Claude Code's ``stream-json``
mcp.py                   the Model Context Protocol: clients and servers
"""
