"""When it goes wrong: categories, advice, messages for users, handling with an audit trail, retries."""
