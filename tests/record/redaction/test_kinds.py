"""Every rule finds what it says: values made from its own facts, bare and by name, in pieces, in containers and as bytes."""

from __future__ import annotations

import base64
import json
from random import Random

import pytest

from benchmarks.secret_lists import Sample
from otel_agentlog.record.redaction.key_rules import LOCAL_TERMS, LOCAL_WORDS, key_rule
from otel_agentlog.record.redaction.redactor import Redactor
from otel_agentlog.record.redaction.rules import TOKEN_RULES, SecretRule
from otel_agentlog.record.redaction.rules_by_service import FORMS, pattern_of
from otel_agentlog.record.redaction.stream import StreamGuard
from otel_agentlog.record.sanitize.cleaner import Cleaner
from tests.record.redaction.secret_corpus import leaks

REDACTOR = Redactor()
CLEANER = Cleaner(REDACTOR)


def _value(rule: SecretRule, seed: int) -> str:
    """A text that a rule's pattern and check accept, made from the pattern; with a head where the secret begins before it."""
    rnd = Random(seed)
    for _ in range(300):
        sample = Sample.of_pattern(rule.pattern, rnd).strip(" ;")
        for head in (
            "",
            "".join(rnd.choice("0123456789") for _ in range(19)),
            "M" + "".join(rnd.choices("abcdefghj23456789", k=79)),
        ):
            for size in range(len(head) + 1):
                text = head[:size] + sample
                if rule.check is None or rule.check(text.encode(), 0, size, len(text)):
                    return text
    raise AssertionError(f"no value for {rule.name}: {rule.description}")


RULES = {f"{number}-{rule.name}": rule for number, rule in enumerate(TOKEN_RULES)}


@pytest.mark.parametrize("name", RULES)
def test_a_value_of_each_shape_is_found_bare_and_by_name(name: str) -> None:
    """In prose, JSON, a log line, alone, under an ordinary name, in nested containers and as bytes, nothing of it is left."""
    for seed in range(3):
        value = _value(RULES[name], seed)
        for text in (value, f"I found {value} there", json.dumps({"a": value}), f"x={value} ok", f"/tmp/x\n{value}\n"):
            assert not leaks(REDACTOR.text(text)[0], value), (name, text)
        kept = CLEANER.clean({"list": [{"note": value}, (value,)], "raw": value.encode()}).value
        assert not leaks(json.dumps(kept), value)
        assert not leaks(base64.b64decode(kept["raw"]["$bytes"]).decode(), value)


@pytest.mark.parametrize("name", RULES)
def test_a_value_of_each_shape_is_found_across_any_cut(name: str) -> None:
    """A stream cut in two anywhere comes out as the whole text does."""
    value = _value(RULES[name], 7)
    text = f"got {value} and more"
    whole = REDACTOR.text(text)[0]
    for cut in range(1, len(text), 1 + len(text) // 40):
        guard = StreamGuard(REDACTOR)
        assert guard.feed(text[:cut]) + guard.feed(text[cut:]) + guard.flush() == whole, (text, cut)


@pytest.mark.parametrize("service", FORMS)
def test_what_a_service_issues_is_found_beside_its_name(service: str) -> None:
    """As KEY=…, JSON, under the name in an object, and across any cut; another length is left alone."""
    rnd = Random(service)
    name = f"{service}_id_of_client" if service in ("asana", "discord") else f"{service}_thing"
    value = next(v for v in (Sample.of_pattern(pattern_of(service).pattern.decode(), rnd) for _ in range(200)) if _is_mixed(v))
    in_any_case = "".join(rnd.choice((char.lower(), char.upper())) for char in name)
    for text in (f"{name.upper()}={value}", json.dumps({name: value}), f"{service}: {value}\n", f"{in_any_case} => '{value}'"):
        assert not leaks(REDACTOR.text(text)[0], value), text
        for cut in range(1, len(text)):
            guard = StreamGuard(REDACTOR)
            assert not leaks(guard.feed(text[:cut]) + guard.feed(text[cut:]) + guard.flush(), value), (text, cut)
    assert not leaks(json.dumps(CLEANER.clean({name: value}).value), value)
    assert REDACTOR.text(f"{name} = see page 12") == (f"{name} = see page 12", 0)


def _is_mixed(value: str) -> bool:
    return any(c.isdigit() for c in value) and any(c.isalpha() for c in value) and len(set(value)) >= 8


WORDS = [word for words in (*LOCAL_TERMS.values(), *LOCAL_WORDS.values()) for word in words]
PASSWORDS = LOCAL_TERMS["password"]


@pytest.mark.parametrize("word", WORDS)
def test_words_of_other_languages_are_known(word: str) -> None:
    """In an assignment, JSON, YAML, any case, snake_case, camelCase, as a name in an object, and across any cut."""
    value = "h7Gk2pQ9x4Lm8Zr1"
    names = {word, word.upper(), word.replace(" ", "_"), f"db_{word}"}
    if word.upper() != word:
        names.add("".join(part.capitalize() for part in word.split()))
    for name in names:
        assert key_rule(name) is not None, name
        assert not leaks(json.dumps(CLEANER.clean({name: value}).value), value), name
        for text in (
            f"{name}={value}",
            f"{name}: {value}\n",
            json.dumps({name: value}, ensure_ascii=False),
            f"{name} = '{value}'",
        ):
            whole = REDACTOR.text(text)[0]
            assert not leaks(whole, value), text
    text = f"so {word}: {value} und"
    for cut in range(1, len(text)):
        guard = StreamGuard(REDACTOR)
        assert guard.feed(text[:cut]) + guard.feed(text[cut:]) + guard.flush() == REDACTOR.text(text)[0], (text, cut)


@pytest.mark.parametrize(
    "sentence",
    [
        "Das Passwort ist {}.",
        "Le mot de passe est {}",
        "La contraseña es {}",
        "A senha é {}",
        "Hasło to {}",
        "Пароль — {}",
        "密码是{}",
        "パスワードは「{}」です",
        "비밀번호는 {}",
        "Het wachtwoord is {}",
    ],
)
def test_sentences_that_tell_a_password(sentence: str) -> None:
    """What is said to be the password goes, the sentence stays."""
    assert REDACTOR.text(sentence.format("Tr0ub4dor&3"))[0] == sentence.format("[redacted:password]")


@pytest.mark.parametrize(
    "text",
    [
        "Das Passwort: bitte alle neunzig Tage ändern. Passwort vergessen? Passwörter sind Geheimnisse.",
        "Le mot de passe est obligatoire ; la clé API est expliquée au chapitre 3.",
        "La contraseña es obligatoria. Hasło jest wymagane. Пароль обязателен.",
        "密码不能为空。パスワードを入力してください。비밀번호를 입력하세요.",
        "- check-secrets: ENABLED",
        "postgresql://scott:tiger@localhost/test amqp://guest:guest@localhost// mysql://user:password@host/db",
        "export OPENAI_API_KEY=… && api_key='your-api-key' token: ghp_xxxxxxxxxxxxxxxx secret='some-secret'",
        'cache_key = "a8f5f167f44f4964e6c998dee827110c", primary_key: 7d444840-9dc0-11d1-b245-5ffdce74fad2',
        '{"key": "uploads/2026/01/photo-of-the-sea.png", "order_id": "4274751426583729", "id": 6528099674858297}',
        'RESET_PASSWORD = """Hello {name},\nyou asked for a new one.\nPlease follow the link below.\n"""',
        "s.getElementsByTagName(x); self.assertRaisesRegex; -----BEGIN PUBLIC KEY-----",
        "linear-gradient(to right, 32px); sentry_sdk==2.19.0; facebook/react@18.3.1; twitter: @handle; jira, sonar: see docs",
        "OpenAI(api_key='initial-token', admin_api_key='expected-admin-secret', webhook_secret=f'secret-{number}')",
        "assert client.settings['password'] == 'swordfish' and token == 'static token'",
        "conn_string = f'{self.scheme}://{self.username}:{self.password}@{self.host}'",
        "Signer(expected_authorization=expected_authorization)",
        '{"d": "M10 10 L20 20", "k": "a8f5f167f44f4964e6c998dee827110c", "p": "a-paragraph-of-the-text-with-forty-letters"}',
        '"integrity": "sha512-7Zw3a8xqVq2Q9o1hK0T5mXr4n6b8c1d3e5f7g9hAaBbCcDdEeFfGgHhIiJjKkLlMmNnOoPpQqRrSsTtUuVvWw=="',
    ],
)
def test_what_only_looks_like_a_secret_stays(text: str) -> None:
    """Prose, examples of documentation, digests, ids and templates are left as they are."""
    assert REDACTOR.text(text) == (text, 0)


def test_random_numbers_are_no_cards() -> None:
    """Of 20,000 numbers of 16 digits none is taken for a card, and one after a word of cards is."""
    rnd = Random(4)
    text = "\n".join(str(rnd.randrange(10**15, 10**16)) for _ in range(20_000))

    assert REDACTOR.text(text)[1] == 0
    assert REDACTOR.text("card: 4111111111111111, visa 4111 1111 1111 1111")[1] == 2


@pytest.mark.parametrize("depth", range(4))
def test_names_are_known_in_json_within_json(depth: int) -> None:
    """A login of Docker's configuration and the numbers of a JSON web key are found in four strings, one inside another."""
    number = base64.urlsafe_b64encode(bytes(range(7, 200))).decode().rstrip("=")
    login = "YXBwOmtkTWZiRko3TWQzRmtK"
    text = json.dumps({"auths": {"registry.example": {"auth": login}}, "keys": [{"kty": "RSA", "e": "AQAB", "d": number}]})
    for _ in range(depth):
        text = json.dumps({"body": text})

    redacted = REDACTOR.text(text)[0]

    assert not leaks(redacted, number)
    assert not leaks(redacted, login)
    assert not leaks(json.dumps(CLEANER.clean({"keys": [{"kty": "RSA", "d": number}]}).value), number)


def test_a_long_text_of_ids_is_searched_to_its_end() -> None:
    """A few candidates a line do not use up what one text may have: it grows with the size of the text."""
    line = json.dumps(
        {"next_page_token": "a8f5f167f44f4964e6c998dee827110c", "discord_guild_id": "274751426583729123", "x": "y" * 400}
    )
    text = f"{line}\n" * 30_000 + "password=h7Gk2pQ9"

    redacted, count = REDACTOR.text(text)

    assert (count, redacted[-20:]) == (1, "=[redacted:password]"), count


@pytest.mark.parametrize("value", ["mysecretpassword", "password", "test-token"])
def test_examples_stay_in_text_and_go_under_a_secret_name(value: str) -> None:
    """A text may be documentation; a field named password is not."""
    assert REDACTOR.text(f"password = '{value}'")[1] == 0
    assert CLEANER.clean({"password": value}).value == {"password": "[redacted:password]"}
