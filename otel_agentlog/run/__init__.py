"""Running things, recorded: scripts of a registry, commands, file operations."""

__all__: list[str] = []
