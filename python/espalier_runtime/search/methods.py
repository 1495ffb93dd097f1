"""From the contract's methods to the searches: one line a method."""

from __future__ import annotations

from espalier_runtime import contract
from espalier_runtime.search.budgeted import search_budgeted
from espalier_runtime.search.fixed import draw_random, nothing, top_layers, uniform
from espalier_runtime.search.importance import search_importance
from espalier_runtime.search.paper import search_paper
from espalier_runtime.search.problem import Found, SearchProblem
from espalier_runtime.search.saliency import search_saliency

Method = (
    contract.BudgetedMethod
    | contract.PaperMethod
    | contract.ImportanceMethod
    | contract.SaliencyMethod
    | contract.UniformMethod
    | contract.TopLayersMethod
    | contract.RandomMethod
    | contract.HeadMethod
)


def find_structure(problem: SearchProblem, method: Method, draw: int) -> Found:
    """Runs `method` on `problem`; `draw` numbers the structures of a random method."""
    name = method.name or method.method
    match method:
        case contract.BudgetedMethod():
            return search_budgeted(problem, method, name)
        case contract.PaperMethod():
            return search_paper(problem, method, name)
        case contract.ImportanceMethod():
            return search_importance(problem, method, name)
        case contract.SaliencyMethod():
            return search_saliency(problem, method, name)
        case contract.UniformMethod():
            return uniform(problem, method.kind, name)
        case contract.TopLayersMethod():
            return top_layers(problem, method.layers, method.kind, name)
        case contract.RandomMethod():
            return draw_random(problem, draw, name)
        case contract.HeadMethod():
            return nothing(problem, name)


def trains_gates(method: Method) -> bool:
    """Whether the method's search is a training of its own."""
    return isinstance(method, contract.BudgetedMethod | contract.PaperMethod | contract.ImportanceMethod)
