"""How people see it: the command line."""
