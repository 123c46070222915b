"""What the owner of a class keeps out of its output: marked fields, classes that mask themselves or are named a secret.

The marks are the class's own, whatever library made it: ``repr=False`` and ``exclude=True`` of a field, metadata such as
``{"sensitive": True}``, an annotation such as ``SecretStr`` or ``Annotated[str, "secret"]``, a ``__repr__`` that writes
asterisks. All is read from the class; nothing of it is called.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Any

from otel_agentlog._startup import dataclass
from otel_agentlog.record.exceptions.class_info import bases, in_class, module_of, short_name
from otel_agentlog.record.redaction.key_rules import KeyRule, key_rule, words_of

HIDDEN = "hidden"
"""Name of the rule for what its owner keeps out of its output, in markers and in the setting ``redaction_unmask``."""

HOLDERS = frozenset(
    {"value", "raw", "data", "content", "contents", "text", "string", "plain", "plaintext", "cleartext", "bytes", "blob"}
    | {"body", "payload"}
)
"""Names that say nothing of what they hold: below the name of a secret, it is the secret."""

_WORDS = frozenset(
    {"sensitive", "secret", "secrets", "redact", "redacted", "mask", "masked", "hide", "hidden", "private", "confidential"}
)
"""Words by which code marks a field or a type as not for output."""
_FLAGS = _WORDS | {"exclude", "writeOnly", "write_only", "pii"}
_MASK = ("***", "•••", "●●●", "[redacted", "<redacted", "(redacted", "[masked", "<masked", "<hidden", "[hidden", "<secret")
_MASKED_WITH = frozenset("*•●█")
_ALIASES = frozenset({"typing", "typing_extensions", "types"})
_MAX_ANNOTATION_DEPTH = 4
_OF_PYTHON = frozenset(
    {"builtins", "collections", "datetime", "pathlib", "uuid", "decimal", "fractions", "re", "types", "typing"}
)


@dataclass(frozen=True, slots=True)
class Hidden:
    """A value that its owner keeps out of output."""

    value: Any


_SERIALIZERS = frozenset({"PlainSerializer", "WrapSerializer"})


def is_hidden(field: Any) -> bool:
    """Whether the description of a field (of dataclasses, attrs, pydantic, SQLAlchemy …) keeps it out of output."""
    # attrs takes a function that writes the value, too: it stands for the value, so the value is not for output.
    if getattr(field, "repr", True) is not True or getattr(field, "exclude", None) is True:
        return True
    for name in ("metadata", "json_schema_extra", "info"):
        if _says_hidden(getattr(field, name, None)):
            return True
    return _is_secret_type(getattr(field, "annotation", None) or getattr(field, "type", None), 0)


def hidden_pydantic_fields(value: object) -> frozenset[str]:
    """Names of the fields of a pydantic model, or dataclass, that it keeps out of its ``repr`` or of its dumps."""
    declared = in_class(value, "__pydantic_fields__")
    if type(declared) is not dict:
        declared = in_class(value, "model_fields")
    if type(declared) is not dict:
        return frozenset()
    return frozenset(name for name, field in declared.items() if type(name) is str and is_hidden(field))


def serialized_pydantic_fields(value: object) -> frozenset[str]:
    """Names of the fields that a pydantic class has a serializer of its own for; ``*`` alone: one for the whole."""
    decorators = in_class(value, "__pydantic_decorators__")
    if decorators is None:
        return frozenset()
    if getattr(decorators, "model_serializers", None):
        return frozenset({"*"})
    declared = in_class(value, "__pydantic_fields__")
    fields = declared if type(declared) is dict else {}
    names = {
        name
        for name, field in fields.items()
        if any(short_name(type(each)) in _SERIALIZERS for each in getattr(field, "metadata", ()))
    }
    for each in dict(getattr(decorators, "field_serializers", {})).values():
        names.update(getattr(getattr(each, "info", None), "fields", ()))
    return frozenset(fields) if "*" in names else frozenset(names)


def is_hidden_by_annotation(value: object, name: str) -> bool:
    """Whether the annotation of a class's field marks it, where there is no other description of it."""
    for base in bases(value):
        annotations = type.__dict__["__dict__"].__get__(base).get("__annotations__")
        if type(annotations) is dict and name in annotations:
            return _is_secret_type(annotations[name], 0)
    return False


def _says_hidden(marks: object) -> bool:
    """Whether metadata says so: a mapping of flags, or a list of marks as ``Annotated`` has it."""
    if type(marks) in (list, tuple):
        items: tuple[object, ...] = tuple(marks)  # type: ignore[arg-type]  # as the line above found
        return any(_is_mark(item) for item in items)
    if type(marks) not in (dict, types.MappingProxyType):
        return False
    given: Mapping[Any, Any] = marks  # type: ignore[assignment]  # as the line above found
    if any(given.get(flag) for flag in _FLAGS) or given.get("format") == "password" or given.get("repr") is False:
        return True
    return any(type(inner) is dict and _says_hidden(inner) for inner in given.values())


def _is_mark(item: object) -> bool:
    """Whether one item of ``Annotated`` marks what it annotates."""
    if type(item) is str:
        return item.casefold() in _FLAGS
    if type(item) in (dict, types.MappingProxyType):
        return _says_hidden(item)
    name = short_name(item) if issubclass(type(item), type) else short_name(type(item))  # type: ignore[arg-type]  # a class
    if not _WORDS.isdisjoint(words_of(name)):
        return True
    if name in ("FieldInfo", "Meta", "Field"):  # of pydantic, msgspec and others
        return is_hidden(item) or any(_says_hidden(getattr(item, each, None)) for each in ("extra", "extra_json_schema"))
    return False


def _is_secret_type(annotation: object, depth: int) -> bool:
    """Whether a type's name is that of a secret: ``SecretStr``, ``Optional[SecretStr]``, ``"Password"``."""
    if annotation is None or depth > _MAX_ANNOTATION_DEPTH:
        return False
    if type(annotation) is str:
        return _is_secret_name(annotation) or "writeOnly" in annotation or "write_only" in annotation
    if issubclass(type(annotation), type) and not hasattr(annotation, "__args__"):
        return _is_secret_name(short_name(annotation))  # type: ignore[arg-type]  # a class
    if module_of(type(annotation)) not in _ALIASES:
        return False
    if _says_hidden(getattr(annotation, "__metadata__", None)):
        return True
    inner: tuple[object, ...] = (getattr(annotation, "__origin__", None), *getattr(annotation, "__args__", ()))
    return any(_is_secret_type(each, depth + 1) for each in inner)


@lru_cache(maxsize=2048)
def _is_secret_name(name: str) -> bool:
    rule = key_rule(name)
    return (rule is not None and rule.certain) or not (_WORDS - {"private"}).isdisjoint(words_of(name))


def rule_of_class(value: object) -> KeyRule | None:
    """The rule for values of a class that is named a secret (``ApiKey``, ``SecretStr``), or that masks itself."""
    if module_of(type(value)) in _OF_PYTHON:
        return None
    found = bases(value)
    if Enum in found or BaseException in found:
        return None  # constants of a program, and texts that are made to be read
    if masks_itself(value):
        return KeyRule(HIDDEN)
    for base in found:
        if module_of(base) not in _OF_PYTHON and (rule := _rule_of_name(short_name(base))) is not None:
            return rule
    return None


@lru_cache(maxsize=2048)
def _rule_of_name(name: str) -> KeyRule | None:
    rule = key_rule(name)
    if rule is None and not {"sensitive", "redacted", "masked", "confidential"}.isdisjoint(words_of(name)):
        return KeyRule(HIDDEN)
    return rule


def masks_itself(value: object) -> bool:
    """Whether a class's own ``__repr__`` or ``__str__`` writes a mask, such as ``***``; they are read, not called."""
    for name in ("__repr__", "__str__"):
        found = in_class(value, name)
        if type(found) is types.FunctionType and _writes_mask(found.__code__):
            return True
    return False


@lru_cache(maxsize=512)
def _writes_mask(code: types.CodeType) -> bool:
    return any(_holds_mask(constant) for constant in code.co_consts)


def _holds_mask(constant: object) -> bool:
    if type(constant) is types.CodeType:
        return _writes_mask(constant)
    if type(constant) is tuple:
        return any(map(_holds_mask, constant))
    if type(constant) is not str or not constant:
        return False
    return _MASKED_WITH.issuperset(constant) or any(mask in constant.casefold() for mask in _MASK)
