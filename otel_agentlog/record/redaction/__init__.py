"""Finds secrets, and personal data if configured, in text and replaces them by markers such as ``[redacted:password]``.

redactor.py            one policy: text in, redacted text and count out; the user's own names, patterns and exceptions
stream.py              the same for text that arrives in pieces
text_streams.py        the texts of a task that are recorded in chunks, each by a guard of its own
engine.py              the search for all rules at once, in linear time, by RE2
rules.py               what a rule is; secrets known by their own shape (vendor tokens)
rules_in_context.py    secrets known by the name beside them (``password=…``)
rules_on_the_wire.py   secrets known by a protocol (headers, URLs, key blocks, card numbers)
rules_by_service.py  secrets known by the name of their service and the form that it gives them (``ADAFRUIT_KEY=…``)
rules_by_value.py      whether a value has the form of a password, a credential, code, a placeholder
key_rules.py           which names belong to a secret (``clientSecret``)
private.py             privacy: what people wrote or were answered, and who they are, by place and name
pii.py                 personal data: e-mail, telephone, IBAN, IP addresses
"""
