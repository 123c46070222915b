"""The filters that people write: what is read, what is refused, and that the index finds what they say."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_agentlog.errors import FilterError
from otel_agentlog.query import Filter, complete, hints, narrowed, parse_filter, quoted, search, words_in
from otel_agentlog.query.filters.language import MAX_DEPTH, MAX_LENGTH, with_conditions
from otel_agentlog.store.index.condition import (
    FIELDS,
    FLAGS,
    All,
    Compared,
    Condition,
    Either,
    Is,
    Named,
    Not,
    ScoreBound,
    Words,
    is_like,
    like_pattern,
    literal,
)
from otel_agentlog.store.index.row import COST_UNITS_PER_USD, IndexRow
from otel_agentlog.vocabulary.scores import score_line
from tests.query.generated_tasks import AGENTS, CATEGORIES, LABELS, MODELS, SCORES, STATUSES, TAGS, TOOLS, WORDS, tasks, write
from tests.query.reference import UNSUCCESSFUL, Reference, meets_text
from tests.query.test_indexed import fresh_root

READ: dict[str, Condition | None] = {
    "": None,
    "   ": None,
    "status:failed": Named("status", ("failed",)),
    "STATUS:Failed,timed-out": Named("status", ("failed", "timed_out")),
    "agent:plan*": Named("agent", ("plan*",)),
    'agent:"a *,b"': Named("agent", (r"a \*,b",)),
    "tag:user:alice": Named("tag", ("user:alice",)),
    "cost>0.5": Compared("cost", ">", 0.5),
    "cost > $0.5": Compared("cost", ">", 0.5),
    "cost:>=2": Compared("cost", ">=", 2),
    "dur>1m30s": Compared("dur", ">", 90),
    "duration<500ms": Compared("dur", "<", 0.5),
    "tokens:3k..": Compared("tokens", ">=", 3000),
    "errors:1..2": All((Compared("errors", ">=", 1), Compared("errors", "<=", 2))),
    "cost!=0": Not(Compared("cost", "=", 0)),
    "is:subtask": Is("subtask"),
    "score:quality": Named("score", ("quality",)),
    "score.quality<0.5": ScoreBound("quality", "<", 0.5),
    "Score.My-Score_2 >= 1e3": ScoreBound("My-Score_2", ">=", 1000),
    "score.quality:<-0.5": ScoreBound("quality", "<", -0.5),
    "score.quality:0.25": ScoreBound("quality", "=", 0.25),
    "score.quality:0.2..0.5": All((ScoreBound("quality", ">=", 0.2), ScoreBound("quality", "<=", 0.5))),
    "score.quality:..1": ScoreBound("quality", "<=", 1),
    "score.tone:warm": ScoreBound("tone", label="warm"),
    "score.tone=warm,curt": Either((ScoreBound("tone", label="warm"), ScoreBound("tone", label="curt"))),
    'score.tone!="5"': Not(ScoreBound("tone", label="5")),
    "score.日本>0": ScoreBound("日本", ">", 0),
    "the score. Then": Words("the score. Then"),
    "not found": Words("not found"),
    "this or that": Words("this or that"),
    "this OR that": Either((Words("this"), Words("that"))),
    "-agent:x y": All((Words("y"), Not(Named("agent", ("x",))))),
    "not (agent:x or z)": Not(Either((Named("agent", ("x",)), Words("z")))),
    "agent:x and agent:y": All((Named("agent", ("x",)), Named("agent", ("y",)))),
    "agent!=x": Not(Named("agent", ("x",))),
    "(f(x) agent:x)": All((Words("f(x)"), Named("agent", ("x",)))),
    '"say \\"no\\"" now': Words('say "no" now'),
    "error: connection reset": Words("error: connection reset"),
    "http://host:80/a?b=c x:y": Words("http://host:80/a?b=c x:y"),
    "exit -1 --flag - 5:30": Words("exit -1 --flag - 5:30"),
    "ValueError:boom": Words("ValueError:boom"),
}

REFUSED = {
    "agnt:x": ("did you mean 'agent'?", 0),
    "x agnt=x": ("did you mean 'agent'?", 2),
    "status:faild": ("did you mean 'failed'?", 0),
    "x dur>soon": ("30s", 2),
    "cost>much": ("0.5", 0),
    "score.quality<much": ("a number", 0),
    "score.quality<1,2": ("one value", 0),
    "score>0.5": ("a name", 0),
    "agent>x": ("a name", 0),
    "agent:,": ("expected a value", 0),
    "is:done": ("subtask", 0),
    "since:never": ("yesterday", 0),
    "since>2h": ("since:WHEN", 0),
    "cost:1,2": ("one value", 0),
    "cost:..": ("..", 0),
    "(a b": ("closing parenthesis for the one at 1", 0),
    'a "b': ("closing quote for the one at 3", 2),
    "agent:x or": ("found the end", 10),
    "agent:x or or y": ("found 'or'", 11),
    "()": ("expected a condition", 1),
    "(" * (MAX_DEPTH + 1) + "a" + ")" * (MAX_DEPTH + 1): ("within each other", MAX_DEPTH + 1),
    "a" * (MAX_LENGTH + 1): ("2,000", MAX_LENGTH),
    "agent:x " * 210: ("at most 200", 1600),
}


@pytest.mark.parametrize("text", READ)
def test_a_filter_is_read(text: str) -> None:
    """Conditions, words, operators and what only looks like one of these."""
    assert parse_filter(text) == READ[text]


@pytest.mark.parametrize("text", REFUSED)
def test_a_filter_that_cannot_be_read_says_why_and_where(text: str) -> None:
    """In one line, with what was expected and the place."""
    says, position = REFUSED[text]

    with pytest.raises(FilterError) as raised:
        parse_filter(text)

    assert says in str(raised.value)
    assert raised.value.position == position


NAMES = {name for name, field in FIELDS.items() if field.kind == "name"} - {"status"}
AMOUNTS = sorted(name for name, field in FIELDS.items() if field.kind == "amount" and field.unit == "count")
pieces = st.sampled_from(
    [*FIELDS, "is", "agnt", ":", "=", "!=", ">", "<", "..", ",", '"', "(", ")", "-", "!", "\\", "*", "?", " ", "or", "AND", "not"]
)


@given(st.one_of(st.text(max_size=40), st.lists(st.one_of(pieces, st.text(max_size=3)), max_size=20).map("".join)))
@settings(max_examples=400, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but a `FilterError` comes out, and the place it names is in the text."""
    refused: FilterError | None = None
    try:
        parse_filter(text)
    except FilterError as error:
        refused = error
    assert refused is None or (0 <= refused.position <= len(text) and str(refused))


# Written and read back ----------------------------------------------------------------------------------------------------------

VALUES = [*(name for name in AGENTS if name), *MODELS, *TOOLS, *TAGS, *WORDS, "É*", "a?c", "\\", "x y", "anthropic", "github"]
named = st.builds(Named, st.sampled_from(sorted(NAMES)), st.lists(st.sampled_from(VALUES), min_size=1, max_size=2).map(tuple))
like = st.builds(
    Named,
    st.sampled_from(["agent", "model", "tool", "tag", "provider", "name", "user", "specialist"]),
    st.sampled_from(["*", "?*", "*a*", "*:*", "O*", "MINI", "r*x", "?LICE", "*É*", "user:*"]).map(lambda pattern: (pattern,)),
)
states = st.builds(Named, st.just("status"), st.lists(st.sampled_from(STATUSES), min_size=1, max_size=2).map(tuple))
categories = st.builds(
    Named, st.just("error"), st.sampled_from([category for category in CATEGORIES if category]).map(lambda name: (name,))
)
compared = st.builds(
    Compared, st.sampled_from(AMOUNTS), st.sampled_from(["<", "<=", "=", ">=", ">"]), st.sampled_from([0.0, 1.0, 3.0])
)
costs = st.builds(Compared, st.just("cost"), st.sampled_from(["<", ">="]), st.sampled_from([0.0, 0.5, 2.0]))
scored = st.one_of(
    st.builds(ScoreBound, st.sampled_from(SCORES), st.sampled_from(["<", "=", ">="]), st.sampled_from([-1.5, 0.25]), st.none()),
    st.builds(ScoreBound, st.sampled_from(SCORES), st.just(""), st.none(), st.sampled_from(LABELS)),
)
words = st.builds(Words, st.sampled_from(WORDS))
leaves = st.one_of(named, like, states, categories, compared, costs, scored, words, st.sampled_from(list(FLAGS)).map(Is))
conditions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.lists(inner, min_size=2, max_size=3).map(lambda found: Either(tuple(found))),
        st.lists(inner, min_size=2, max_size=3).map(lambda found: All(tuple(found))),
    ),
    max_leaves=6,
)


def written(condition: Condition) -> str:
    """A condition as a person could write it."""
    match condition:
        case Words(text):
            return f'"{text}"'
        case Named(field, patterns):
            return f"{field}:" + ",".join(pattern if _plain(pattern) else quoted(pattern) for pattern in patterns)
        case Compared(field, operator, value):
            return f"{field}{operator}{value}"
        case ScoreBound(name, operator, value, label):
            return f"score.{name}{operator}{value}" if label is None else f'score.{name}:"{label}"'
        case Is(flag):
            return f"is:{flag}"
        case Not(inner):
            return f"-({written(inner)})"
        case All(inner):
            return "(" + " ".join(map(written, inner)) + ")"
        case Either(inner):
            return "(" + " or ".join(map(written, inner)) + ")"


def _plain(pattern: str) -> bool:
    return not set(' ",()\\') & set(pattern)


def meets(row: IndexRow, condition: Condition) -> bool:
    """Whether a task meets a condition, by plain Python."""
    match condition:
        case Words(text):
            return meets_text(row, Filter(text=text))
        case Named(field, patterns):
            exact = [pattern if _plain(pattern) else literal(pattern) for pattern in patterns]
            return any(is_like(value, pattern) for value in names_of(row, field) for pattern in exact)
        case Compared(field, operator, value):
            return compares(amount_of(row, field), operator, value * (COST_UNITS_PER_USD if field == "cost" else 1))
        case ScoreBound(name, operator, value, label):
            scores = [score for score in row.scores if score.name == name]
            if label is not None:
                return any(score.label == label for score in scores)
            known = [score.value for score in scores if score.value is not None]
            return bool(known) and compares(round(sum(known) / len(known), 9), operator, value)
        case Is(flag):
            return {
                "active": row.status not in STATUSES,
                "ended": row.status in STATUSES,
                "unsuccessful": row.status in UNSUCCESSFUL,
                "subtask": row.parent_task_id is not None,
                "unpriced": row.unpriced,
            }[flag]
        case Not(inner):
            return not meets(row, inner)
        case All(inner):
            return all(meets(row, each) for each in inner)
        case Either(inner):
            return any(meets(row, each) for each in inner)


def names_of(row: IndexRow, field: str) -> list[Any]:
    """The names that a task has in a field."""
    calls = [run for run in row.runs if run.kind == "ai_call"]
    found: dict[str, list[Any]] = {
        "model": [row.model, *(run.name for run in calls)],
        "provider": [row.provider, *(run.provider for run in calls)],
        "tool": [run.name for run in row.runs if run.kind == "tool_run"],
        "tag": list(row.tags),
        "score": [score.name for score in row.scores],
        "error": row.error_categories,
        "id": [row.task_id or "task-0"],
        "type": [row.agent_type],
        "session": [row.session_id],
        "correlation": [row.correlation_id],
        "parent": [row.parent_task_id],
    }
    return found.get(field) or ([] if field in found else [getattr(row, field)])


def amount_of(row: IndexRow, field: str) -> int | None:
    """A figure of a task."""
    if field == "tokens":
        return row.input_tokens + row.output_tokens
    column = {"input": "input_tokens", "output": "output_tokens", "calls": "ai_calls", "runs": "tool_runs"}.get(field, field)
    found: int | None = getattr(row, column)
    return found


def compares(value: float | None, operator: str, bound: float) -> bool:
    """Whether a figure that is known is so."""
    if value is None:
        return False
    return {"<": value < bound, "<=": value <= bound, "=": value == bound, ">=": value >= bound, ">": value > bound}[operator]


@given(st.lists(tasks(), min_size=1, max_size=5), st.lists(conditions, min_size=5, max_size=12))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_index_finds_what_a_filter_says(made: list[dict[str, Any]], asked: list[Condition]) -> None:
    """Whatever is written finds the tasks that plain Python finds."""
    with fresh_root() as root:
        for number, task in enumerate(made):
            write(root, f"task-{number}", task)
        rows = Reference(root).rows

        for condition in asked:
            found = search(root, narrowed(Filter(), written(condition)), limit=None)
            wanted = {name for name, row in rows.items() if meets(named_row(row, name), condition)}
            assert {row.folder.name for row in found.rows} == wanted, written(condition)


def named_row(row: IndexRow, folder: str) -> IndexRow:
    """The row with the id that its folder's name is."""
    row.task_id = row.task_id or folder
    return row


@given(st.text(max_size=20).filter(lambda text: "\0" not in text))
def test_a_value_in_quotes_is_itself(value: str) -> None:
    """What completion offers is read as exactly that value."""
    if value:
        found = parse_filter(f"agent:{quoted(value)}")
        assert isinstance(found, Named)
        assert is_like(value, found.patterns[0]) or literal(value) == found.patterns[0]
        assert not is_like(value + "x", found.patterns[0])


@given(st.text(alphabet="aAb%_\\*?", max_size=6), st.text(alphabet="aAb%_\\*?", max_size=6))
def test_sql_compares_as_python_does(value: str, pattern: str) -> None:
    """`like_pattern` and `is_like` are the same rule."""
    with closing(sqlite3.connect(":memory:")) as database:
        (found,) = database.execute(r"SELECT ? LIKE ? ESCAPE '\'", (value, like_pattern(pattern))).fetchone()

    assert bool(found) == is_like(value, pattern)


def test_times_and_words_become_those_of_the_filter() -> None:
    """The index answers these fastest; the narrower bound holds."""
    wanted = narrowed(Filter(since_ns=5, text="old"), "since:2026-11-20T00:00Z until:2026-11-21T00:00Z new agent:x")

    assert wanted.since_ns == 1795132800 * 10**9
    assert wanted.until_ns == 1795219200 * 10**9
    assert wanted.text == "old new"
    assert wanted.condition == Named("agent", ("x",))
    assert with_conditions(wanted, [None]) == wanted


def test_the_words_of_a_filter() -> None:
    """Those that must not be there are none."""
    assert words_in(narrowed(Filter(text="a"), "b (c or agent:x) -d")) == "a b c"


# Completion and hints -----------------------------------------------------------------------------------------------------------


SCORED = {
    "task-a": [score_line("quality", 0.8), score_line("tone", None, label="very warm")],
    "task-b": [score_line("quality", 0.2), score_line("two words", 1)],
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three tasks of two agents."""
    made = {
        "task-a": {"status": "completed", "assigned_agent": "planner", "model": "claude-opus-4-5", "tags": ["x y"]},
        "task-b": {"status": "failed", "assigned_agent": "planner", "model": "gpt-5", "tags": ['q"t']},
        "task-c": {"status": "failed", "assigned_agent": "Écrivain", "session_id": "s-71"},
    }
    for name, metadata in made.items():
        document = {"created_at": "2026-11-21T05:22:01.000000000Z", "name": name, **metadata}
        lines = [{"timestamp": document["created_at"], "span_id": "1", **each} for each in SCORED.get(name, ())]
        write(tmp_path / "tasks", name, {"metadata": document, "final": {}, "input": {}, "lines": lines})
    return tmp_path / "tasks"


@pytest.mark.parametrize(
    ("text", "start", "options"),
    [
        ("ag", 0, ["agent:"]),
        ("x (-c", 4, ["correlation:", "cost>", "calls>"]),
        ("agent:", 6, ["planner", "Écrivain"]),
        ("agent:PL", 6, ["planner"]),
        ("agent:é", 6, ["Écrivain"]),
        ("x model:gpt-5,c", 14, ["claude-opus-4-5"]),
        ("tag:", 4, [r'"q\"t"', '"x y"']),
        ('tag:"x ', 4, ['"x y"']),
        ("status:f", 7, ["failed"]),
        ("is:s", 3, ["subtask"]),
        ("score:", 6, ["quality", "tone", '"two words"']),
        ("score.", 0, ["score.quality>", "score.tone>"]),
        ("x score.TO", 2, ["score.tone>"]),
        ("score.tone:", 11, ['"very warm"']),
        ('score.tone="ve', 11, ['"very warm"']),
        ("nothing:", 8, []),
        ("cost>", 5, []),
    ],
)
def test_completion(root: Path, text: str, start: int, options: list[str]) -> None:
    """By fields, and by values that tasks have, the most frequent first."""
    found = complete(root, text)

    assert (found.start, [option.text for option in found.options]) == (start, options)


@given(st.lists(st.one_of(pieces, st.text(max_size=3)), max_size=8).map("".join))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_completion_takes_any_text(text: str) -> None:
    """Whatever stands there."""
    found = complete(Path("/nonexistent"), text)

    assert 0 <= found.start <= len(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("agent:Plan", ["No task has the agent 'Plan', did you mean 'planner'?"]),
        ("model:claude", ["No task has the model 'claude', did you mean 'claude-opus-4-5'?"]),
        ("session:71", ["No task has the session '71', did you mean 's-71'?"]),
        ("agent:plnr,planner", ["No task has the agent 'plnr', did you mean 'planner'?"]),
        ("score.qualty>0.5", ["No task has the score 'qualty', did you mean 'quality'?"]),
        ("tool:Bash", ["No task has the tool 'Bash'."]),
        ("agent:planner status:failed -agent:nobody", []),
    ],
)
def test_hints_say_what_was_meant(root: Path, text: str, says: list[str]) -> None:
    """By the values that exist."""
    assert hints(root, narrowed(Filter(), text)) == says


@pytest.mark.parametrize("text", ["id:task-a", "id:TASK-A", "id:*k-a", "id:task-a*"])
def test_a_task_is_found_by_its_id(root: Path, text: str) -> None:
    """Also where the id is the name of the folder and stands nowhere else."""
    assert [row.task_id for row in search(root, narrowed(Filter(), text)).rows] == ["task-a"]
