"""What the owner of a class keeps out of its output is not recorded; bytes under a secret's name are masked as text is."""

from __future__ import annotations

import array
import base64
import collections
import dataclasses
from enum import Enum
from typing import Annotated, Any, NamedTuple

import attrs
import msgspec
import numpy
import pydantic
import pytest
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column

from otel_agentlog.record.redaction.redactor import Redactor
from otel_agentlog.record.sanitize.cleaner import Cleaner

CLEANER = Cleaner(Redactor())
SECRET = "blue-horse-battery"
"""What no rule finds by its form."""
CREDENTIAL = "ZyXwVu98765432109876qqqq"
SensitiveText = Annotated[str, "sensitive"]


class Sensitive:
    """A mark of somebody's own."""


@dataclasses.dataclass
class Data:
    user: str = "u"
    quiet: str = dataclasses.field(repr=False, default=SECRET)
    flagged: str = dataclasses.field(default=SECRET, metadata={"sensitive": True})
    annotated: Annotated[str, Sensitive()] = SECRET
    typed: SecretStr = SECRET  # type: ignore[name-defined, assignment]  # noqa: F821  # annotations are texts here
    listed: list[str] = dataclasses.field(repr=False, default_factory=lambda: [SECRET])


@dataclasses.dataclass(slots=True, frozen=True)
class Slotted:
    user: str = "u"
    quiet: dict[str, str] = dataclasses.field(repr=False, default_factory=lambda: {"k": SECRET})


@attrs.define
class Attrs:
    user: str = "u"
    quiet: str = attrs.field(repr=False, default=SECRET)
    own: str = attrs.field(repr=lambda value: "***", default=SECRET)
    flagged: str = attrs.field(default=SECRET, metadata={"secret": True})


class Model(pydantic.BaseModel):
    user: str = "u"
    quiet: str = pydantic.Field(SECRET, repr=False)
    left_out: str = pydantic.Field(SECRET, exclude=True)
    secret: pydantic.SecretStr = pydantic.SecretStr(SECRET)
    raw: pydantic.SecretBytes = pydantic.SecretBytes(SECRET.encode())
    any_secret: pydantic.Secret[str] = pydantic.Secret(SECRET)
    write_only: str = pydantic.Field(SECRET, json_schema_extra={"writeOnly": True})
    annotated: SensitiveText = SECRET
    nested: Any = None


@pydantic.dataclasses.dataclass
class PydanticData:
    user: str = "u"
    left_out: str = pydantic.Field(default=SECRET, exclude=True)
    quiet: str = pydantic.Field(default=SECRET, repr=False)


class FieldSerializers(pydantic.BaseModel):
    user: str = "u"
    masked: str = SECRET
    annotated: Annotated[str, pydantic.PlainSerializer(lambda value: "***")] = SECRET
    failing: str = SECRET

    @pydantic.field_serializer("masked")
    def mask(self, value: str) -> str:
        return value[:1] + "***"

    @pydantic.field_serializer("failing")
    def fail(self, value: str) -> str:
        raise RuntimeError(value)


class AllFields(pydantic.BaseModel):
    masked: str = SECRET
    more: str = SECRET

    @pydantic.field_serializer("*")
    def mask(self, value: str) -> str:
        return "***"


class ModelSerializer(pydantic.BaseModel):
    user: str = "u"
    masked: str = SECRET

    @pydantic.model_serializer
    def write(self) -> dict[str, str]:
        return {"user": self.user}


class TextSerializer(ModelSerializer):
    @pydantic.model_serializer
    def write(self) -> str:  # type: ignore[override]  # pydantic asks the last one
        return self.user


@pydantic.dataclasses.dataclass
class SerializedData:
    user: str = "u"
    masked: str = SECRET

    @pydantic.field_serializer("masked")
    def mask(self, value: str) -> str:
        return "***"


class Struct(msgspec.Struct):
    user: str = "u"
    flagged: Annotated[str, msgspec.Meta(extra={"secret": True})] = SECRET
    write_only: Annotated[str, msgspec.Meta(extra_json_schema={"writeOnly": True})] = SECRET


class FrozenStruct(Struct, frozen=True):
    count: int = 1


class SecretString(str): ...


class ApiKey(str): ...


class Quiet(str):
    def __repr__(self) -> str:
        return "***"


class QuietBytes(bytes):
    def __str__(self) -> str:
        return "<redacted>"


class Covered(collections.UserString):
    def __repr__(self) -> str:
        return "*" * 8


class QuietDict(dict[str, Any]):
    def __repr__(self) -> str:
        return "QuietDict(***)"


class Credentials(NamedTuple):
    user: str = "u"
    value: str = SECRET


class QuietTuple(NamedTuple):
    user: str = "u"
    other: str = SECRET

    def __repr__(self) -> str:
        return "QuietTuple(***)"


@dataclasses.dataclass(repr=False)
class MasksItself:
    user: str = "u"
    other: str = SECRET
    count: int = 3

    def __repr__(self) -> str:
        return f"MasksItself({self.user}, ***)"


class Holder:
    """A class of no library; what it holds is not read."""

    def __init__(self) -> None:
        self.value = SECRET


class Base(MappedAsDataclass, DeclarativeBase): ...


class Row(Base):
    __tablename__ = "row"
    id: Mapped[int] = mapped_column(primary_key=True, default=1)
    quiet: Mapped[str] = mapped_column(repr=False, default=SECRET)
    late: Mapped[str] = mapped_column(deferred=True, default="")


def starlette_secret() -> object:
    """The secret of a web framework."""
    from starlette.datastructures import Secret

    return Secret(SECRET)


OWNERS: dict[str, Any] = {
    **{cls.__name__: cls for cls in (FieldSerializers, AllFields, ModelSerializer, TextSerializer, SerializedData)},
    **{cls.__name__: cls for cls in (Data, Slotted, Attrs, Model, PydanticData, Struct, FrozenStruct, MasksItself, QuietTuple)},
    **{cls.__name__: lambda cls=cls: cls(SECRET) for cls in (SecretString, ApiKey, Quiet, Covered)},
    "QuietBytes": lambda: QuietBytes(SECRET.encode()),
    "QuietDict": lambda: QuietDict(any=SECRET),
    "Credentials": Credentials,
    "Holder": Holder,
    "SQLAlchemy": Row,
    "starlette": starlette_secret,
    "nested": lambda: Model(nested=[{"deep": (Data(), Attrs())}]),
    "as a key": lambda: {Quiet(SECRET): 1, ("a", SecretString(SECRET)): 2},
    "in a set": lambda: {Quiet(SECRET)},
    "in an exception": lambda: ValueError(Data(), Quiet(SECRET)),
}


@pytest.mark.parametrize("name", OWNERS)
def test_what_its_owner_hides_is_not_recorded(name: str) -> None:
    """Fields that are kept out of ``repr`` or dumps, secret types, and classes that mask themselves; the rest stays."""
    made = OWNERS[name]()

    cleaned = CLEANER.clean({"value": made, "tuple": (made,)})

    assert SECRET not in str(cleaned.value)
    assert base64.b64encode(SECRET.encode()).decode()[:20] not in str(cleaned.value)
    assert cleaned.failed == 0
    if name in ("Data", "Slotted", "Attrs", "Model", "PydanticData", "Struct", "FrozenStruct", "Credentials"):
        assert cleaned.value["value"]["user"] == "u"


def test_what_a_serializer_writes_is_recorded() -> None:
    """As it writes it: a mask, a date in its own form; what fails there is hidden, what has none stays."""
    assert CLEANER.clean(FieldSerializers()).value == {
        "user": "u",
        "masked": "b***",
        "annotated": "***",
        "failing": "[redacted:hidden]",
    }
    assert CLEANER.clean(AllFields()).value == {"masked": "***", "more": "***"}
    assert CLEANER.clean(ModelSerializer()).value == {"user": "u"}
    assert CLEANER.clean(TextSerializer()).value == {"value": "u"}
    assert CLEANER.clean(SerializedData()).value == {"user": "u", "masked": "***"}


def test_hidden_values_are_counted_and_can_be_asked_for() -> None:
    """Each counts as redacted; ``redaction_unmask=["hidden"]`` records what is only hidden, and masks secrets all the same."""
    cleaned = CLEANER.clean(Slotted())
    assert (cleaned.value, cleaned.redacted) == ({"user": "u", "quiet": "[redacted:hidden]"}, 1)

    shown = Cleaner(Redactor(unmask=["hidden"])).clean([Slotted(), Quiet("text")])
    assert shown.value == [{"user": "u", "quiet": {"k": SECRET}}, "text"]


class Shade(str, Enum):
    """A constant of a program."""

    SECRET = "public-name"


@dataclasses.dataclass
class TokenUsage:
    value: int = 3
    name: str = "total"
    hidden_size: str = "64"


class Layer(str):
    def __repr__(self) -> str:
        return f"<Layer hidden={str.__str__(self)}>"


@pytest.mark.parametrize("value", [Shade.SECRET, TokenUsage(), Layer("text"), collections.OrderedDict(a="b")])
def test_what_nobody_hides_stays(value: object) -> None:
    """Names that only sound like a secret, and a ``repr`` without a mask, hide nothing."""
    assert CLEANER.clean(value).redacted == 0


BYTES: dict[str, Any] = {
    "bytes": CREDENTIAL.encode(),
    "bytearray": bytearray(CREDENTIAL.encode()),
    "memoryview": memoryview(CREDENTIAL.encode()),
    "numpy bytes": numpy.bytes_(CREDENTIAL.encode()),
    "numpy array of bytes": numpy.array([CREDENTIAL.encode()]),
    "numbers": list(CREDENTIAL.encode()),
    "numpy numbers": numpy.frombuffer(CREDENTIAL.encode(), dtype="u1"),
    "array": array.array("B", CREDENTIAL.encode()),
    "UTF-16": CREDENTIAL.encode("utf-16"),
    "UTF-16, big endian": CREDENTIAL.encode("utf-16-be"),
    "base64": base64.b64encode(CREDENTIAL.encode()).decode(),
    "base64 bytes": base64.b64encode(CREDENTIAL.encode()),
    "list": [CREDENTIAL],
    "tuple": (CREDENTIAL.encode(),),
    "set": {CREDENTIAL},
    "frozenset": frozenset([CREDENTIAL.encode()]),
    "holder": {"value": CREDENTIAL},
    "list of holders": [{"raw": CREDENTIAL.encode()}],
    "from a file": CREDENTIAL + "\n",
    "from a file of Windows": f"{CREDENTIAL}\r\n",
    "bytes from a file": CREDENTIAL.encode() + b"\n",
    "with blanks around": f"  {CREDENTIAL}\t",
    "with a scheme": f"Token {CREDENTIAL}",
    "bytes with a scheme": b"Token " + CREDENTIAL.encode(),
    "below any name": {"v": CREDENTIAL},
    "bytes below any name": [{"v": CREDENTIAL.encode()}],
    "deep below": {"a": {"b": [{"c": CREDENTIAL + "\n"}]}},
}


@pytest.mark.parametrize("form", BYTES)
@pytest.mark.parametrize("key", ["token", "jwt", "auth", "password", "api_key", b"token", "MY_TOKEN"])
def test_every_form_of_a_secret_is_masked_under_its_name(form: str, key: Any) -> None:
    """Bytes of any kind and what holds them are judged as the same text is, also where the name alone is not certain."""
    cleaned = CLEANER.clean({key: BYTES[form], "n": 1})

    assert "[redacted:" in str(cleaned.value), cleaned.value
    assert CREDENTIAL not in str(cleaned.value)
    assert base64.b64encode(CREDENTIAL.encode()).decode()[:16] not in str(cleaned.value)


@pytest.mark.parametrize("key", ["token", "jwt", "auth", "signature", "webhook_secret"])
def test_a_binary_key_is_masked(key: str) -> None:
    """Bytes that no text is made of."""
    raw = bytes.fromhex("8f14e45fceea167a5a36dedd4bea2543c3a1f0e9b7d2884c6f3e5a9b0d1c2e7f")

    assert "[redacted:" in str(CLEANER.clean({key: raw}).value)
    assert CLEANER.clean({"image": raw}).redacted == 0


@pytest.mark.parametrize("name", ["DB_PASSWORD", b"DB_PASSWORD", bytearray(b"DB_PASSWORD")])
def test_a_name_beside_its_value_may_be_bytes(name: object) -> None:
    """As environments and headers have them."""
    assert "hunter2" not in str(CLEANER.clean({"name": name, "value": "hunter2"}).value)


@pytest.mark.parametrize(
    "value", [b"short", list(range(20)), {"id": "550e8400-e29b-41d4-a716-446655440000"}, b"a text of words only"]
)
def test_what_is_no_secret_stays_under_an_uncertain_name(value: object) -> None:
    """Bytes without the form of a credential, numbers, and ids beside a token are kept."""
    assert CLEANER.clean({"token": value}).redacted == 0


@pytest.mark.parametrize(
    ("pair", "masked"),
    [
        ([b"authorization", b"x y"], True),
        (["x-api-key", "a1B2c3D4e5F6g7H8"], True),
        (["password", "hunter2"], True),
        (["password", "username"], False),
        (["token", "next"], False),
        ([b"content-type", b"text/plain"], False),
    ],
)
def test_headers_may_be_lists_of_two(pair: list[Any], masked: bool) -> None:
    """Bytes are headers, texts only where the second has the form of a secret: a list of two names is kept."""
    assert ("[redacted:" in str(CLEANER.clean({"headers": [pair]}).value)) is masked
