"""Output in any pieces: what is kept, what is passed on, and that a known secret never shows, however it is cut."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.record.redaction.redactor import Redactor
from otel_agentlog.record.redaction.stream import StreamGuard
from otel_agentlog.tools.process.mask import MASKED, Mask, MaskedStream, shown_inputs
from otel_agentlog.tools.process.output import KeptStream, Output, excerpt

SECRETS = st.lists(st.text("ab", min_size=4, max_size=9), min_size=1, max_size=3)
REDACTOR = Redactor()
TEXTS = st.lists(st.text("abc\n", max_size=12), max_size=12)


@settings(deadline=None)
@given(secrets=SECRETS, pieces=TEXTS)
def test_a_secret_never_shows_however_it_is_cut(secrets: list[str], pieces: list[str]) -> None:
    """Nothing that was passed on holds a secret, and nothing is lost but secrets."""
    stream = MaskedStream(Mask(secrets))

    said = "".join([*(stream.feed(piece) for piece in pieces), stream.flush()])

    assert not any(secret in said.replace(MASKED, "|") for secret in secrets)
    if MASKED not in said:
        assert said == "".join(pieces)


@settings(deadline=None)
@given(secret=st.text("xyz-1", min_size=4, max_size=12), pieces=TEXTS, cut=st.integers(1, 11))
def test_what_is_held_back_comes_out(secret: str, pieces: list[str], cut: int) -> None:
    """In pieces it is what it is in one."""
    text = "".join(pieces) + secret + "".join(pieces)
    stream = MaskedStream(Mask([secret]))

    said = "".join([*(stream.feed(text[at : at + cut]) for at in range(0, len(text), cut)), stream.flush()])

    assert said == Mask([secret]).text(text)


@settings(deadline=None)
@given(pieces=st.lists(st.binary(max_size=30), max_size=20), limit=st.integers(1, 60))
def test_of_any_output_beginning_and_end_are_kept(pieces: list[bytes], limit: int) -> None:
    """At most the limit, the first and the last bytes, and the count of what is left out."""
    whole, kept = b"".join(pieces), KeptStream(limit)
    for piece in pieces:
        kept.add(piece)

    head, tail = kept.parts()
    assert kept.size_bytes == len(whole)
    assert kept.left_out_bytes == max(0, len(whole) - limit)
    if kept.left_out_bytes:
        assert head == whole[: limit - limit // 2].decode("utf-8", "replace")
        assert tail == (whole[len(whole) - limit // 2 :]).decode("utf-8", "replace")
    else:
        assert head == whole.decode("utf-8", "replace")


@settings(deadline=None)
@given(pieces=st.lists(st.binary(min_size=1, max_size=50), max_size=10), limit=st.integers(1, 400))
def test_live_output_is_bounded_and_in_order(pieces: list[bytes], limit: int) -> None:
    """What is passed on is the beginning of what was printed, decoded as a whole."""
    said: list[str] = []
    output = Output(limit, emit=lambda stream, text: said.append(text))
    for piece in pieces:
        output.take("stdout", piece)
        output.tick()
    output.close()

    whole, live = b"".join(pieces), "".join(said)
    if len(whole) < limit:
        assert live == whole.decode("utf-8", "replace")
    else:
        assert live.endswith("\n[further output is not kept here]\n")
        assert len(live) <= limit + 40


@settings(deadline=None)
@given(at=st.integers(0, 300))
def test_excerpts_do_not_cut_a_secret_in_two(at: int) -> None:
    """Wherever a known secret or one by its look stands in a long output, nothing of it is in the excerpt."""
    secret, token = "hunter2-hunter2", "ghp_" + "A1b2C3d4E5" * 4
    text = "x" * at + f" {secret} {token} " + "y" * 300 + f"\n{token} {secret} " + "z" * (300 - at)
    for limit in (40, 100, 333, 2000):
        kept = KeptStream(limit)
        kept.add(text.encode())

        shown = excerpt(kept, Mask([secret]), lambda: StreamGuard(REDACTOR), limit=200)

        assert "hunter2" not in shown
        assert "A1b2C3d4E5A1b2" not in shown


def test_inputs_as_they_are_shown() -> None:
    """Whatever the schema marks is replaced as a whole, a number too; other texts lose the secrets in them."""
    schema = {"properties": {"pin": {"writeOnly": True}, "list": {"items": {"properties": {"k": {"writeOnly": True}}}}}}

    shown = shown_inputs(schema, {"pin": 12, "list": [{"k": "v", "n": 1}], "text": "my hunter2!"}, Mask(["hunter2"]))

    assert shown == {"pin": MASKED, "list": [{"k": MASKED, "n": 1}], "text": f"my {MASKED}!"}
