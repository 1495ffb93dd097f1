"""The task controller: from what the frozen backbone says of a task's rows to the logits of the task's gates.

    a_t = shared + W_2 tanh(W_1 e_t + c)        e_t = ([mean; deviation over rows of the pooled states] - m) / r

m is the mean over the tasks it was trained on, r their largest distance from it (1 where there is one task). e_t needs
neither labels nor training, so that a controller speaks of tasks it has never seen. W_2 starts at zero.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from espalier_runtime.errors import InputError
from espalier_runtime.search.problem import SearchProblem
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.training.model import AdaptedModel

#: Rows of a task that its embedding is taken from, at most.
ROWS = 256


class Controller(nn.Module):
    """The module's formula for given embeddings (tasks, 2 hidden), as they come from `embeddings`."""

    center: Tensor
    radius: Tensor
    given: Tensor

    def __init__(self, given: Tensor, candidates: int, width: int, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.inner = nn.Linear(given.shape[1], width)
        self.outer = nn.Linear(width, candidates, bias=False)
        nn.init.zeros_(self.outer.weight)
        self.shared = nn.Parameter(torch.zeros(candidates))
        center = given.mean(0)
        radius = (given - center).norm(dim=1).max()
        self.register_buffer("center", center)
        self.register_buffer("radius", radius if float(radius) > 0 else torch.ones(()))
        self.register_buffer("given", given, persistent=False)

    def forward(self) -> Tensor:
        """a (tasks, candidates)."""
        embedded = (self.given - self.center) / self.radius
        logits: Tensor = self.shared + self.outer(torch.tanh(self.inner(embedded)))
        return logits

    def optimiser(self, learning_rate: float, task_learning_rate: float) -> torch.optim.Optimizer:
        """Adam with one rate for what tasks share, and another for what the embedding makes of it."""
        own = [*self.inner.parameters(), *self.outer.parameters()]
        shared = {"params": [self.shared], "lr": learning_rate}
        return torch.optim.Adam([shared, {"params": own, "lr": task_learning_rate}])


@torch.no_grad()
def embeddings(problem: SearchProblem) -> Tensor:
    """[mean; deviation] of each task's pooled states under the frozen backbone, (tasks, 2 hidden)."""
    nothing = AdapterPool([], problem.space.kinds, problem.seed)
    model = AdaptedModel(problem.backbone, nothing, problem.new_heads(probe=False), problem.training.pooling)
    model.to(problem.backbone.device)
    found = []
    for task in range(len(problem.tasks)):
        rows = problem.sample(task, ROWS)
        parts = problem.corpus.parts(rows, problem.training.max_tokens)
        states = torch.cat([model.pooled(problem.corpus.batch(part), None) for part in parts])
        found.append(torch.cat([states.mean(0), states.std(0, correction=0)]))
    return torch.stack(found)


def write_controller(controller: Controller, candidates: Sequence[str], backbone: str, file: Path) -> None:
    """Writes the controller of the candidates with these ids, on the backbone with this fingerprint."""
    from safetensors.torch import save_file

    tensors = {name: value.detach().cpu().contiguous() for name, value in controller.state_dict().items()}
    save_file(tensors, file, metadata={"candidates": json.dumps(list(candidates)), "backbone": backbone})


def read_controller(path: Path, candidates: Sequence[str], backbone: str, method: str) -> dict[str, Tensor]:
    """The weights of the controller in `path`, cut to the candidates with these ids.

    `path`: the folder of its trial, or RUN/TRIAL. Raises InputError where none is there, or one of another backbone or
    of a space that lacks a candidate.
    """
    from safetensors import safe_open

    places = [path / "controller.safetensors", path.parent / "trials" / path.name / "controller.safetensors"]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise InputError(
            f"{method}: controller: {path} is neither the folder of a finished trial of tams, nor RUN/TRIAL",
            mend="Name a trial as RUN/TRIAL, such as runs/tasks-20260102T030405Z-0a1b2c3d/tams-seed0.",
        )
    with safe_open(file, framework="pt") as opened:
        about = opened.metadata()
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    if about["backbone"] != backbone:
        raise InputError(
            f"{method}: controller: {file} was trained on other weights than this backbone's, whose states it reads",
            mend="Use the backbone that it was trained on.",
        )
    known = {name: index for index, name in enumerate(json.loads(about["candidates"]))}
    absent = [name for name in candidates if name not in known]
    if absent:
        raise InputError(
            f"{method}: controller: {file} knows nothing of {len(absent)} of the space's candidates,"
            f" such as {absent[0]}",
            mend="Use the space that it was trained on, or a part of it.",
        )
    kept = [known[name] for name in candidates]
    return tensors | {name: tensors[name][kept] for name in ("shared", "outer.weight")}


def restored(weights: dict[str, Tensor], given: Tensor) -> Controller:
    """The controller of `weights`, for the tasks with the embeddings `given`."""
    controller = Controller(given, len(weights["shared"]), len(weights["inner.bias"]), 0)
    controller.load_state_dict(weights)
    return controller
