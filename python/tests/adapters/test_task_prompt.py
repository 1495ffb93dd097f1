from __future__ import annotations

import torch
from conftest import inputs, padded, tiny
from torch import Tensor

from espalier_runtime import contract
from espalier_runtime.adapters.task_prompt import TaskPrompt
from espalier_runtime.backbone.load import Backbone
from espalier_runtime.structure.pool import AdapterPool
from espalier_runtime.structure.space import build_space

TOKENS, TASKS = 2, 3
SPACE = contract.Space.model_validate(
    {"slots": ["attention"], "layers": [0], "kinds": [{"kind": "taskPrompt", "tokens": [TOKENS], "scale": 10.0}]}
)


def prompted(backbone: Backbone) -> tuple[AdapterPool, TaskPrompt]:
    """Prompts of three tasks in the first layer, each as if it stood among the tokens."""
    spanned = build_space(SPACE, backbone.sites, TASKS)
    pool = AdapterPool(spanned.candidates, spanned.kinds, 3).eval()
    (module,) = pool.members()
    assert isinstance(module, TaskPrompt)
    with torch.no_grad():
        module.mass.fill_(0.1)
    return pool, module


def test_a_row_attends_as_if_its_own_tasks_prompts_stood_among_its_tokens() -> None:
    backbone = tiny("bert")
    pool, module = prompted(backbone)
    attention = backbone.model.encoder.layer[0].attention.self
    heard: list[tuple[Tensor, Tensor]] = []
    attention.register_forward_hook(lambda _, given, output: heard.append((given[0], output[0])))
    ids, mask = inputs()
    tasks = torch.tensor([2, 0, 1])
    with torch.no_grad():
        with pool.attached(backbone.model):
            pool.use(None, tasks)
            backbone.states(padded(ids, mask))
        x, found = heard[0]
        prompts = module.prompts[:, tasks].transpose(0, 1)
        among = torch.cat([prompts, x], 1)
        seen = torch.cat([mask.new_ones(3, TOKENS), mask], 1).bool()[:, None, None, :]
        wanted = attention(among, seen.expand(-1, -1, among.shape[1], -1))[0][:, TOKENS:]
    real = mask.bool()
    torch.testing.assert_close(found[real], wanted[real], atol=1e-5, rtol=1e-5)


def test_a_task_owns_its_prompts_and_counts_no_others() -> None:
    backbone = tiny("bert")
    pool, module = prompted(backbone)
    ids, mask = inputs()
    with pool.attached(backbone.model):
        pool.use(None, torch.tensor([1, 1, 1]))
        backbone.states(padded(ids, mask)).square().sum().backward()
    assert module.prompts.grad is not None
    assert (module.prompts.grad.abs().sum((0, 2)) > 0).tolist() == [False, True, False]
    (candidate,) = pool.candidates
    assert candidate.parameters == TASKS * TOKENS * (32 + 1) == sum(weight.numel() for weight in pool.parameters())
    assert candidate.parameters - candidate.of_others == TOKENS * (32 + 1)
