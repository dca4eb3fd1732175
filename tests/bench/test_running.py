"""What is said of the cost of the proof."""

from __future__ import annotations

from tests.bench.running import PLAIN, WITH, WITHOUT, Taken, describe


def test_what_the_proof_adds_is_the_difference_of_the_least_and_a_start_of_the_command_is_told_apart() -> None:
    taken = {
        WITH: Taken([2.9, 2.5], [3.4, 3.1]),
        WITHOUT: Taken([1.4, 1.6], [2.0, 2.1]),
        PLAIN: Taken([0.6, 0.7], [0.5, 0.5]),
    }

    text = describe(taken, 100, 45)

    assert "| the whole gate | 2.50 s | 2.70 s | 3.10 s | 3.25 s |" in text
    assert text.endswith(
        "adds 1.10 s, which is +0.50 s beside one start of the command."
        "\nOf processor time, it adds 1.10 s, which is +0.60 s beside one start of the command.\n"
    )
