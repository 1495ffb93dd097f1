"""The benchmark's result as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.where import ORDER


def markdown(result: dict[str, Any]) -> str:
    """Ratios, times to an accuracy, where time goes, shares of the arithmetic limit, and bytes kept for backward."""
    machine = result["machine"]
    said = ", ".join(f"{name} {value}" for name, value in machine.items() if name != "device")
    return "\n\n".join(
        [
            f"{machine['device']}: {said}",
            _table(
                ["task", "case", "against", "ratio (lowest to highest)", "target"],
                [
                    [
                        row["task"],
                        row["case"],
                        row["peer"],
                        f"{row['ratio']:.2f} ({row['spread'][0]:.2f} to {row['spread'][1]:.2f})",
                        _target(row),
                    ]
                    for row in result["rows"]
                ],
            ),
            _table(
                ["task", "case", "accuracy", "epochs", "seconds", "the peer's seconds", "ratio"],
                [
                    [
                        row["task"],
                        row["case"],
                        f"{row['accuracy']:.1%}",
                        "not reached" if row["epochs"] is None else row["epochs"],
                        row["seconds"],
                        row["peerSeconds"],
                        "" if row["ratio"] is None else f"{row['ratio']:.2f}",
                    ]
                    for row in result["accuracy"]
                ],
            ),
            _table(
                ["task", "case", *ORDER],
                [
                    [row["task"], row["case"], *(f"{row['parts'][name]:.0%}" for name in ORDER)]
                    for row in result["where"]
                ],
            ),
            _table(
                ["task", "case", "least ms a step", "measured ms", "share of the limit"],
                [
                    [row["task"], row["case"], f"{row['leastMs']}", f"{row['measuredMs']}", f"{row['share']:.0%}"]
                    for row in result["limits"]
                ],
            ),
            _table(
                ["task", "case", "MiB kept for backward", "PEFT's", "ratio", "target"],
                [
                    [
                        row["task"],
                        row["case"],
                        f"{row['bytes'] / 2**20:.0f}",
                        f"{row['peer'] / 2**20:.0f}",
                        f"{row['ratio']:.2f}",
                        _target(row),
                    ]
                    for row in result["bytes"]
                ],
            ),
        ]
    )


def _target(row: dict[str, Any]) -> str:
    return "" if row["target"] is None else f"{row['target']}: {'met' if row['met'] else 'missed'}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(str(cell)) for cell in column) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    )
