"""The terminal monitor (extra ``monitor``): all tasks and one task as they happen, and what one can tell a running agent."""
