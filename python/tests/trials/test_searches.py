"""Every search of a plan is a row of its report within the budget, on the real MiniLM and a few steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trials.test_run import plan, run

SEARCHES: list[dict[str, Any]] = [
    {"method": "sora"},
    {"method": "learnableRank", "temperature": [1.0, 0.25]},
    {"method": "tams", "temperature": [1.0, 0.25]},
    {"method": "fisher", "rows": 4},
    {"method": "eva", "rows": 4},
    {"method": "saliency", "batches": 1},
    {"method": "importance"},
]


def test_every_search_is_a_row_that_keeps_the_budget(tmp_path: Path) -> None:
    given = plan("head", seeds=[0], maxSteps=3, maxLength=16)
    given["tasks"] = given["tasks"][:1]
    given["methods"] = [{**method, "name": method["method"]} for method in SEARCHES]
    given["trials"] = [
        {"id": f"{method['method']}-seed0", "method": method["method"], "draw": 0, "seed": 0} for method in SEARCHES
    ]
    record = run(given, tmp_path / "run")
    assert [row.method for row in record.rows] == [method["method"] for method in SEARCHES]
    failures = {
        method["method"]: json.loads((tmp_path / f"run/trials/{method['method']}-seed0/result.json").read_text())[
            "error"
        ]
        for method in SEARCHES
    }
    assert set(failures.values()) == {None}, failures
    assert all(6_000 < row.parameters.union <= 12_000 for row in record.rows)
    assert all(0 <= float(row.mean) <= 1 for row in record.rows)
