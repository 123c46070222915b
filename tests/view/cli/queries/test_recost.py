"""``agentlog recost``: what was recorded beside what it would cost today."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import otel_agentlog as agentlog_sdk
from otel_agentlog.record.providers.pricing import PriceTable
from otel_agentlog.vocabulary.usage import Usage
from tests.test_terminal_text import acts_on_a_terminal
from tests.view.cli.terminal import Output, agentlog, as_wide_as, on_terminal, plain

PRICES = "prices: {my-model: {input_per_mtok: 2.0, output_per_mtok: 10.0}, odd: {input_per_mtok: 1.0}}\n"


def told(*arguments: object) -> Output:
    """What the command says, within this process."""
    return as_wide_as(120, "recost", *arguments)


def asked(*arguments: object) -> Any:
    """What the command answers as JSON."""
    return json.loads(agentlog("recost", *arguments, "--json").out)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with prices of its own, and tasks recorded by others."""
    (tmp_path / "agentlog.yaml").write_text(PRICES)
    agentlog_sdk.configure(service_name="t", directory=tmp_path / "tasks", console="off", capture_logging=False)
    try:
        with agentlog_sdk.task("First", task_id="task-first", agent="brain"):
            with agentlog_sdk.ai_call("my-model", provider="own") as call:
                call.usage(input_tokens=1_000_000, output_tokens=100_000, cost_usd=5.0)
            with agentlog_sdk.ai_call("my-model", provider="own") as call:
                call.usage(input_tokens=1_000_000, output_tokens=0)
            with agentlog_sdk.ai_call("no-such-model", provider="own") as call:
                call.usage(input_tokens=10, cost_usd=1.0)
        with agentlog_sdk.task("Second", task_id="task-second"), agentlog_sdk.ai_call("my-model", provider="own") as call:
            call.usage(input_tokens=0, output_tokens=200_000, cost_usd=1.0)
        with agentlog_sdk.task("Third", task_id="task-third"):
            pass
    finally:
        agentlog_sdk.shutdown()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_recorded_cost_stands_beside_todays(folder: Path) -> None:
    """By model and in all; the difference is of the calls whose cost is known both ways."""
    answer = asked("--root", folder / "tasks")
    models = {each["model"]: each for each in answer["models"]}

    mine = {"calls": 3, "recorded_usd": 6.0, "unpriced": 1, "repriced_usd": 7.0, "not_repriced": 0, "difference_usd": -1.0}
    assert models["my-model"] == {"model": "my-model", **mine}
    assert models["no-such-model"]["repriced_usd"] is models["no-such-model"]["difference_usd"] is None
    assert (answer["tasks"], answer["not_ended"], answer["price_sources"]) == (3, 0, ["user"])
    assert (answer["total"]["calls"], answer["total"]["recorded_usd"], answer["total"]["repriced_usd"]) == (4, 7.0, 7.0)
    assert answer["total"]["difference_usd"] == -1.0


def test_people_see_a_table(folder: Path) -> None:
    """What is not known is a question mark, and a plus says that some of it is not."""
    said = told("--root", folder / "tasks")

    assert said.lines[0] == f"4 AI calls of 3 tasks below {folder / 'tasks'}"
    assert said.lines[1].split() == ["MODEL", "CALLS", "RECORDED", "TODAY", "DIFFERENCE"]
    assert said.lines[2].split() == ["my-model", "3", "$6.00+", "$7.00", "-$1.00"]
    assert said.lines[3].split() == ["no-such-model", "1", "$1.00", "?"]
    assert said.lines[4].split() == ["all", "4", "$7.00+", "$7.00+", "-$1.00"]


def test_tasks_are_named_or_chosen(folder: Path) -> None:
    """By id, the beginning of one, or the options of all."""
    root = folder / "tasks"
    named = asked("second", "task-second", "--root", root)
    chosen = asked("--agent", "brain", "--root", root)

    assert (named["tasks"], named["total"]["repriced_usd"]) == (1, 2.0)
    assert (chosen["tasks"], chosen["total"]["calls"]) == (1, 3)


def test_history_is_not_rewritten(folder: Path) -> None:
    """No file of a task changes."""
    before = _stamps(folder / "tasks")
    told("--root", folder / "tasks")

    assert _stamps(folder / "tasks") == before


def _stamps(root: Path) -> dict[str, tuple[int, bytes]]:
    files = [file for file in root.glob("task-*/*") if file.is_file()]
    return {str(file): (os.stat(file).st_mtime_ns, file.read_bytes()) for file in files}


def test_the_installed_table_prices_what_no_setting_does(stories: Path) -> None:
    """The model of the demo's review, by the prices of the package; its cached tokens count."""
    answer = asked("task-review42", "--root", stories)
    usage = Usage(input_tokens=1200, output_tokens=850, cache_read_input_tokens=300)
    expected = PriceTable().cost("anthropic", "claude-opus-4-5", usage)

    assert expected is not None
    assert answer["total"]["repriced_usd"] == pytest.approx(expected.amount_usd)
    assert answer["price_sources"] == [f"genai-prices {expected.version}"]


def test_tasks_that_go_on_are_left_out(stories: Path) -> None:
    """They are counted, not priced."""
    answer = asked("--root", stories)
    last = told("--root", stories).lines[-1]

    assert answer["not_ended"] >= 1
    assert last == f"{answer['not_ended']} task{'s' * (answer['not_ended'] > 1)} left out: not ended"


def test_a_bad_price_is_named(tmp_path: Path) -> None:
    """Exit code 2, as of any setting."""
    (tmp_path / "agentlog.yaml").write_text("prices: {m: {input_per_mtok: -1}}\n")
    said = agentlog("recost", "--root", tmp_path / "no", cwd=tmp_path)

    assert said.code == 2
    assert "prices.m.input_per_mtok" in said.err


def test_garbage_costs_nothing_known(tmp_path: Path) -> None:
    """Amounts that are no numbers, names that act on a terminal, details that are no object: still a table."""
    folder = tmp_path / "tasks" / "task-x"
    folder.mkdir(parents=True)
    (folder / "metadata.json").write_text(
        '{"task_id":"task-x","status":"completed","created_at":"2026-11-21T05:22:01.000000000Z"}'
    )
    details = (
        '{"model":"evil\\u001b[31m","provider":3,"input_tokens":-5,"output_tokens":"many","cost_usd":-1.0}',
        '{"model":["x"],"input_tokens":1e300,"cost_usd":true}',
        '"no object"',
    )
    lines = [f'{{"timestamp":"2026-11-21T05:22:01Z","type":"ai_response","phase":"end","details":{each}}}\n' for each in details]
    (folder / "03-agent-output.jsonl").write_text("".join(lines) + '{"timestamp":"torn')
    said = told("--root", tmp_path / "tasks")

    assert said.code == 0
    assert said.lines[0].startswith("3 AI calls of 1 task")
    assert set(acts_on_a_terminal(said.out)) <= {"\n"}
    assert all("$" not in line for line in said.lines[2:])


def test_a_root_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    """There is nothing to tell, and nothing is written."""
    said = told("--root", tmp_path / "no")

    assert (said.code, said.out) == (0, f"0 AI calls of 0 tasks below {tmp_path / 'no'}\n")
    assert list(tmp_path.iterdir()) == []


def test_only_our_own_colours_reach_a_terminal(stories: Path) -> None:
    """With rich, and with hostile names."""
    out = on_terminal("recost", "--root", stories, columns=100).out

    # Progress comes where the machine is slow.
    assert set(acts_on_a_terminal(plain(out.replace("\r\x1b[K", "")))) == {"\n"}
