"""kill -9 of each process at a random moment: fewer times than `make kills` does it."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from kills import VICTIMS, Scene

ROUNDS = {"worker": 5, "template": 4, "host": 4, "kernel": 2, "server": 1}


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"scripts/kills.py --seed {seed}")  # noqa: T201 - pytest shows it where a test fails
    with Scene(seed) as scene:
        yield scene


@pytest.mark.parametrize("victim", VICTIMS)
def test_kill_9_leaves_nothing_and_breaks_nothing(scene: Scene, victim: str) -> None:
    """No orphan after 2 s, every cached file whole, every request answered, and the next one works."""
    for _ in range(ROUNDS[victim]):
        scene.kill(victim)
