"""When it goes wrong: categories, suggestions, error ids, messages for users, handling with an audit trail."""

__all__: list[str] = []
