"""Ten files of each format give the sums that were computed by hand, in folders that are valid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from otel_agentlog.store.folder.reader import TaskReader
from tests.tools.imports.importing import run_import, tasks_of
from tests.tools.imports.samples import SAMPLES, Sums, lines

CASES = [(form, name) for form, samples in SAMPLES.items() for name in samples]


def test_there_are_ten_of_each() -> None:
    """Of every format."""
    assert {form: len(samples) for form, samples in SAMPLES.items()} == dict.fromkeys(SAMPLES, 10)


def sums_of(tasks: list[TaskReader], wrong: int) -> Sums:
    """What the folders say."""
    metrics: list[Mapping[str, Any]] = [(task.final_result() or {})["metrics"] for task in tasks]
    costs = [each["cost_usd"] for each in metrics if each["cost_usd"] is not None and each["ai_calls"]]
    ends = [line for task in tasks for line in task.events() if line.get("type") in ("tool_result", "ai_response")]
    return Sums(
        tasks=len(tasks),
        ai_calls=sum(each["ai_calls"] for each in metrics),
        tool_runs=sum(each["tool_runs"] for each in metrics),
        input=sum(each["input_tokens"] for each in metrics),
        output=sum(each["output_tokens"] for each in metrics),
        cached=sum(each["cache_read_input_tokens"] for each in metrics),
        micro_usd=round(sum(costs) * 1e6, 3) if costs else None,
        failed=sum(line["outcome"] == "failed" for line in ends),
        wrong=wrong,
    )


@pytest.mark.parametrize(("form", "name"), CASES, ids=lambda each: str(each).replace(" ", "-"))
def test_the_sums_are_right(tmp_path: Path, form: str, name: str) -> None:
    """The format is found by itself; a second import of the same file changes nothing."""
    rows, expected = SAMPLES[form][name]
    file = tmp_path / "some name.jsonl"
    file.write_text(lines(rows))
    root = tmp_path / "tasks"

    report = run_import(root, file)

    assert report.problems == []
    assert sums_of(tasks_of(root), report.wrong) == expected
    assert {task.metadata()["source"] for task in tasks_of(root)} == {"import"}  # type: ignore[index]  # it has one
    assert run_import(root, file).unchanged == 1
    anew = run_import(root, file, replace=True)
    assert sums_of(tasks_of(root), anew.wrong) == expected


@pytest.mark.parametrize("form", [*SAMPLES])
def test_all_of_a_format_in_one_array(tmp_path: Path, form: str) -> None:
    """Over several lines, as people save it."""
    name, (rows, expected) = next(iter(SAMPLES[form].items()))
    file = tmp_path / "array.json"
    file.write_text(json.dumps([json.loads(row) if isinstance(row, str) else row for row in rows], indent=1))

    report = run_import(tmp_path / "tasks", file)

    assert report.problems == [], name
    assert sums_of(tasks_of(tmp_path / "tasks"), report.wrong) == expected
