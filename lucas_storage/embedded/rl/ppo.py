"""`PPOPipeline`: trains a model in an actor."""

from __future__ import annotations

from typing import Any

from lucas_storage.embedded.classes import ActorClass
from lucas_storage.embedded.decorators import actor


class PPOPipeline:
    """Makes an actor of a model that has ``learn(total_timesteps=…)``; the setters set keywords of `@actor`.

    Args:
        model: The model, such as a PPO of Stable-Baselines3.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._config: dict[str, Any] = {}

    def set_wrapper(self, wrapper: Any) -> None:
        """Set the class of the actor's platform."""
        self._config["wrapper"] = wrapper

    def set_dependency(self, dependency: Any) -> None:
        """Set the packages that the actor needs."""
        self._config["dependency"] = dependency

    def set_provider(self, provider: str) -> None:
        """Set the platform."""
        self._config["provider"] = provider

    def set_name(self, name: str) -> None:
        """Set the name of the actor's class."""
        self._config["name"] = name

    def set_venv(self, venv: str) -> None:
        """Set the environment the actor runs in."""
        self._config["venv"] = venv

    def export(self) -> ActorClass:
        """Return the class: its objects have ``train(total_timesteps)`` and ``get_model()``."""
        model = self._model

        class PPOTrainer:
            def __init__(self) -> None:
                self._model = model

            def train(self, total_timesteps: int) -> None:
                self._model.learn(total_timesteps=total_timesteps)

            def get_model(self) -> Any:
                return self._model

        return actor(**self._config)(PPOTrainer)
