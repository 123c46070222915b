"""What happened: tasks, steps, AI calls, tool runs, webhooks and log lines, cleaned once and handed to the sinks."""
