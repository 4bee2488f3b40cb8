"""From the name in a request to the models that may answer it: what was asked for, or what is cheap and good enough."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import Final

from ...core.settings_llm import RoutingSettings
from ..catalog import Catalogue, Model
from ..chat import CompletionRequest
from .choice import Choice
from .demands import Demands

AUTO: Final = "auto"
_STRONG: Final = "strong"
_RUNNERS_UP: Final = 3


class Route(list[Model]):
    """The candidates of a request whose model was chosen by cost.

    Attributes:
        baseline: Whom it would have gone to otherwise.
    """

    def __init__(self, models: Iterable[Model], *, baseline: str) -> None:
        super().__init__(models)
        self.baseline = baseline


class CatalogueRouter:
    """`seams.Router` over the catalogue.

    A model that is named answers, or a model that its row names as a fallback. Only for `auto`, or for a request that
    allows it, the model is chosen by cost, and only if the settings allow it, too.
    """

    def __init__(self, catalogue: Catalogue, settings: RoutingSettings, *, random: Random | None = None) -> None:
        self._catalogue = catalogue
        self._enabled = settings.enabled
        self._choice = Choice(settings, random=random or Random())  # noqa: S311 - exploration

    def candidates(self, request: CompletionRequest) -> Sequence[Model]:
        """The models that may answer, the one to be asked first at the head (see `seams.Router`)."""
        name, demands = request.model, Demands(request)
        chosen = name == AUTO or request.controls.route
        if self._enabled and chosen:
            return self._cheapest(request, demands)
        return self._named(_STRONG if name == AUTO else name, request, demands)

    def _named(self, name: str, request: CompletionRequest, demands: Demands) -> Sequence[Model]:
        head = self._catalogue.find(name)
        demands.check(head)
        if not head.fallbacks or not request.controls.fallback:
            return (head,)
        return (head, *self._standing_in(head, demands))

    def _standing_in(self, head: Model, demands: Demands) -> list[Model]:
        models = self._catalogue.models
        named = (models[one] for one in dict.fromkeys(head.fallbacks) if one in models and one != head.id)
        return [model for model in named if demands.met_by(model)]

    def _cheapest(self, request: CompletionRequest, demands: Demands) -> Sequence[Model]:
        name = _STRONG if request.model == AUTO else request.model
        usual = self._catalogue.playing(_STRONG) if request.model == AUTO else self._catalogue.find(name)
        pool = [model for model in self._catalogue.listed() if model.skills and demands.met_by(model)]
        if not pool:
            return self._named(name, request, demands)
        ranked = self._choice.rank(request, pool, chars=demands.chars)
        ranked = ranked[: _RUNNERS_UP if request.controls.fallback else 1]
        return Route(ranked, baseline=usual.id if usual is not None else "")
