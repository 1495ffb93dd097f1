from __future__ import annotations

import dataclasses
import json
import multiprocessing
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from conftest import FAMILIES, tiny
from problems import corpus, problem
from torch import Tensor

from espalier_runtime.backbone.load import Backbone
from espalier_runtime.structure.gates import FixedGates
from espalier_runtime.tasks.corpus import Corpus
from espalier_runtime.tasks.tokenise import TokenIds
from espalier_runtime.training.evaluate import predict
from espalier_runtime.training.loop import train
from espalier_runtime.training.prefix_cache import PrefixCache, entries, make_room

PLENTY = 1 << 30


def cache(folder: Path, backbone: Backbone | None = None, most: int = PLENTY, kind: str = "float32") -> PrefixCache:
    return PrefixCache(backbone or tiny("bert"), most, kind, folder)  # type: ignore[arg-type]


def computed(backbone: Backbone, rows: Corpus, layer: int) -> list[Tensor]:
    inputs = rows.batch(range(len(rows))).inputs
    return inputs.layout.rows(backbone.entering(inputs, layer))


@pytest.mark.parametrize("family", sorted(family for family in FAMILIES if tiny(family).form.starts))
def test_the_states_are_those_that_enter_the_layer_in_every_family(family: str, tmp_path: Path) -> None:
    backbone, rows = tiny(family), corpus(tasks=1, rows=10)
    found = cache(tmp_path, backbone).entering(rows, 2)([3, 0, 7])
    for ours, theirs in zip(found, [computed(backbone, rows, 2)[row] for row in (3, 0, 7)], strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=0)


def test_what_is_kept_is_not_computed_again(tmp_path: Path) -> None:
    backbone, rows = tiny("bert"), corpus(tasks=1)
    first = cache(tmp_path, backbone).entering(rows, 2)(range(24))
    ran = []
    backbone.model.encoder.layer[0].attention.register_forward_hook(lambda *_: ran.append(1))
    again = cache(tmp_path, backbone).entering(rows, 2)(range(24))
    assert ran == []
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert len(entries(tmp_path)) == 1


def test_other_data_layers_backbones_and_number_types_have_entries_of_their_own(tmp_path: Path) -> None:
    rows = [(0, TokenIds([5, 6, 7], None, False), 0.0), (0, TokenIds([8, 9], None, False), 1.0)]
    one_token_changed = [rows[0], (0, TokenIds([8, 10], None, False), 1.0)]
    one_type_changed = [rows[0], (0, TokenIds([8, 9], [0, 1], False), 1.0)]
    backbone = tiny("bert")
    for given in (rows, one_token_changed, one_type_changed):
        cache(tmp_path, backbone).entering(Corpus(["task"], given, 0, torch.device("cpu")), 2)
    same = Corpus(["task"], rows, 0, torch.device("cpu"))
    cache(tmp_path, backbone).entering(same, 1)
    cache(tmp_path, backbone, kind="bfloat16").entering(same, 2)
    cache(tmp_path, tiny("bert", hidden_act="relu")).entering(same, 2)
    assert len(entries(tmp_path)) == 6
    cache(tmp_path, tiny("roberta")).entering(same, 2)
    assert len(entries(tmp_path)) == 7


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_sixteen_bits_round_the_states_and_take_half_the_bytes(kind: str, tmp_path: Path) -> None:
    rows = corpus(tasks=1)
    (whole,) = cache(tmp_path / "32", kind="float32").entering(rows, 2)([0])
    (half,) = cache(tmp_path / "16", kind=kind).entering(rows, 2)([0])
    assert half.dtype == torch.float32
    assert torch.equal(half, whole.to(getattr(torch, kind)).float())
    sizes = [(entries(tmp_path / bits)[0] / "states.bin").stat().st_size for bits in ("32", "16")]
    assert sizes[0] == 2 * sizes[1] == 4 * 32 * sum(rows.lengths)


def flip(entry: Path) -> None:
    content = bytearray((entry / "states.bin").read_bytes())
    content[100] ^= 1
    (entry / "states.bin").write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a bit": flip,
    "a short file": lambda entry: (entry / "states.bin").write_bytes(b"half"),
    "no card": lambda entry: (entry / "entry.json").unlink(),
    "half a card": lambda entry: (entry / "entry.json").write_text('{"rows"'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_made_again(damage: str, tmp_path: Path) -> None:
    rows = corpus(tasks=1)
    first = [row.clone() for row in cache(tmp_path).entering(rows, 2)(range(24))]
    (entry,) = entries(tmp_path)
    DAMAGES[damage](entry)
    again = cache(tmp_path).entering(rows, 2)(range(24))
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert json.loads((entry / "entry.json").read_text())["rows"] == 24


def test_rows_beyond_the_bound_are_computed(tmp_path: Path) -> None:
    backbone, rows = tiny("bert"), corpus(tasks=1)
    bound = 4 * 32 * sum(rows.lengths[:10])
    found = cache(tmp_path, backbone, bound).entering(rows, 2)(range(24))
    assert json.loads((entries(tmp_path)[0] / "entry.json").read_text())["rows"] == 10
    for ours, theirs in zip(found, computed(backbone, rows, 2), strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-6, rtol=0)
    features = cache(tmp_path / "small", backbone, 4 * 32 * 5).features(rows, "mean")
    torch.testing.assert_close(features, cache(tmp_path / "all", backbone).features(rows, "mean"), atol=2e-6, rtol=0)


def test_the_least_recently_used_entries_make_room(tmp_path: Path) -> None:
    import os

    rows = corpus(tasks=1)
    for layer in (1, 2):
        cache(tmp_path).entering(rows, layer)
    size = sum(file.stat().st_size for entry in entries(tmp_path) for file in entry.iterdir())
    by_layer = {json.loads((entry / "entry.json").read_text())["place"]: entry for entry in entries(tmp_path)}
    os.utime(by_layer["layer 2"], (1, 1))
    make_room(tmp_path, size - 1)
    assert entries(tmp_path) == [by_layer["layer 1"]]
    make_room(tmp_path, 0)
    assert entries(tmp_path) == []


def _states_of(folder: str, into: object) -> None:
    found: Sequence[Tensor] = cache(Path(folder)).entering(corpus(tasks=1), 2)(range(24))
    into.put([row.tolist() for row in found])  # type: ignore[attr-defined]


def test_two_processes_make_one_entry(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("spawn")
    results = fork.Queue()
    both = [fork.Process(target=_states_of, args=(str(tmp_path), results)) for _ in range(2)]
    for process in both:
        process.start()
    found = [results.get(timeout=120) for _ in both]
    for process in both:
        process.join()
    assert found[0] == found[1]
    assert len(entries(tmp_path)) == 1


def test_a_fit_on_kept_states_is_the_fit_without(tmp_path: Path) -> None:
    losses, outputs, rows = [], [], None
    for kept in (True, False):
        given = problem(tasks=2)
        top = given.space.within([i for i, c in enumerate(given.space.candidates) if c.site.layer >= 1])
        given = dataclasses.replace(given, space=top)
        whole = given.corpus
        whole.cache = cache(tmp_path, given.backbone) if kept else None
        model = given.model()
        rows = torch.rand(2, len(top.candidates), generator=torch.Generator().manual_seed(5))
        ran: list[int] = []
        handle = given.backbone.model.encoder.layer[0].attention.register_forward_hook(
            lambda *_, ran=ran: ran.append(1)
        )
        seen = whole.without([0, 30])
        done = train(
            model, seen, FixedGates(rows), given.training, seed=0, epochs=10, report=lambda step, steps, loss: None
        )
        forwards = len(ran)
        handle.remove()
        losses.append(done.losses)
        outputs.append(torch.from_numpy(predict(model, whole.without(whole.of_task(1)), rows, "accuracy", 40).outputs))
        assert forwards == (1 if kept else len(done.losses))
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    torch.testing.assert_close(outputs[0], outputs[1], atol=1e-4, rtol=0)
