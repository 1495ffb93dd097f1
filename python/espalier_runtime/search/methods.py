"""From the contract's methods to the searches: one line a method."""

from __future__ import annotations

from espalier_runtime import contract
from espalier_runtime.search.budgeted import search_budgeted
from espalier_runtime.search.eva import search_eva
from espalier_runtime.search.fisher import search_fisher
from espalier_runtime.search.fixed import draw_random, nothing, separate, top_layers, uniform
from espalier_runtime.search.from_structure import search_from
from espalier_runtime.search.importance import search_importance
from espalier_runtime.search.learnable_rank import search_learnable_rank
from espalier_runtime.search.paper import search_paper
from espalier_runtime.search.problem import Found, SearchProblem
from espalier_runtime.search.race import search_race
from espalier_runtime.search.saliency import search_saliency
from espalier_runtime.search.sora import search_sora
from espalier_runtime.search.tams import search_tams

Method = (
    contract.BudgetedMethod
    | contract.PaperMethod
    | contract.ImportanceMethod
    | contract.SaliencyMethod
    | contract.FisherMethod
    | contract.EvaMethod
    | contract.SoraMethod
    | contract.LearnableRankMethod
    | contract.TamsMethod
    | contract.FromMethod
    | contract.RaceMethod
    | contract.UniformMethod
    | contract.TopLayersMethod
    | contract.RandomMethod
    | contract.SeparateMethod
    | contract.HeadMethod
)


#: The methods whose search is a training of its own.
TRAINED = (
    contract.BudgetedMethod
    | contract.PaperMethod
    | contract.ImportanceMethod
    | contract.SoraMethod
    | contract.LearnableRankMethod
    | contract.TamsMethod
)


def find_structure(problem: SearchProblem, method: Method, draw: int) -> Found:
    """Runs `method` on `problem`; `draw` numbers the structures of a random method."""
    name = method.name or method.method
    problem = problem.of_last(getattr(method, "layers", None))
    match method:
        case contract.BudgetedMethod():
            return search_budgeted(problem, method, name)
        case contract.PaperMethod():
            return search_paper(problem, method, name)
        case contract.ImportanceMethod():
            return search_importance(problem, method, name)
        case contract.SaliencyMethod():
            return search_saliency(problem, method, name)
        case contract.FisherMethod():
            return search_fisher(problem, method, name)
        case contract.EvaMethod():
            return search_eva(problem, method, name)
        case contract.SoraMethod():
            return search_sora(problem, method, name)
        case contract.LearnableRankMethod():
            return search_learnable_rank(problem, method, name)
        case contract.TamsMethod():
            return search_tams(problem, method, name)
        case contract.FromMethod():
            return search_from(problem, method, name)
        case contract.RaceMethod():
            return search_race(problem, method, name, find_structure)
        case contract.UniformMethod():
            return uniform(problem, method.kind, name)
        case contract.TopLayersMethod():
            return top_layers(problem, method.layers, method.kind, name)
        case contract.RandomMethod():
            return draw_random(problem, draw, name)
        case contract.SeparateMethod():
            return separate(problem, method.kind, name)
        case contract.HeadMethod():
            return nothing(problem, name)


def trains_gates(method: Method) -> bool:
    """Whether the method's search is a training of its own."""
    return isinstance(_search_of(method), TRAINED)


def continues(method: Method) -> bool:
    """Whether the fit goes on from the weights of the search."""
    return getattr(_search_of(method), "fit", "retrain") == "continue"


def search_passes(method: Method, epochs: float) -> float:
    """Passes of a whole forward over the training rows that the method's search costs; training takes `epochs`."""
    spec = _search_of(method)
    if isinstance(spec, contract.RaceMethod):
        return float(2 * spec.fits * epochs)
    if isinstance(spec, contract.SaliencyMethod | contract.FisherMethod | contract.EvaMethod):
        return 0.3
    if not trains_gates(method):
        return 0.0
    passes = 2.2 * (getattr(spec, "epochs", None) or epochs)
    if getattr(spec, "level", "single") == "bilevel":
        return float(2 * passes * (1 - spec.gate_fraction))  # type: ignore[union-attr]
    return float(passes)


def _search_of(method: Method) -> Method | None:
    """The search that a method runs: its own, the one a start or freeze names, or none."""
    if isinstance(method, contract.TamsMethod) and method.controller is not None:
        return None
    if isinstance(method, contract.FromMethod):
        return None if method.mode == "fit" else method.search
    return method
