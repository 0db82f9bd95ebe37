import pytest

from lab_helpers.checks.outcome import Outcome, Row, State

S = State.NOT_STARTED
N = State.NOT_YET
C = State.CORRECT
X = State.COULD_NOT_LOOK


@pytest.mark.parametrize(
    ("states", "verdict"),
    [
        ((C,), C),
        ((C, C), C),
        ((S, S), S),
        ((C, S), N),
        ((S, N), N),
        ((C, N), N),
        ((C, X), X),
        ((N, X), X),
        ((S, X), X),
    ],
)
def test_verdict_follows_from_the_rows(states: tuple[State, ...], verdict: State) -> None:
    outcome = Outcome("t", "T", tuple(Row(f"c{n}", state) for n, state in enumerate(states)))

    assert outcome.state is verdict
    assert outcome.correct is (verdict is C)


def test_text_has_every_fact_once_and_is_stable() -> None:
    row = Row("It is capped.", N, "memory.max is max", "64 MiB", "the unit")

    assert repr(Outcome("t-1", "Cap", (row,), ("saved nowhere",))).splitlines() == [
        "t-1 Cap: not yet",
        "  ✘ not yet      It is capped.",
        "      seen:        memory.max is max",
        "      expected:    64 MiB",
        "      likely slip: the unit",
        "  Change it and check again; .hint() helps, .solution() shows one way and why.",
        "  note: saved nowhere",
    ]


def test_html_says_state_by_word_and_role_and_escapes() -> None:
    html = Outcome("t-1", "Cap <b>", (Row("It `is` <capped>.", N, "a & b"),))._repr_html_()

    assert 'role="status"' in html
    assert "✘ not yet" in html
    assert "&lt;capped&gt;" in html
    assert "a &amp; b" in html
    assert ">is</code>" in html
    assert "<capped>" not in html


def test_first_open_row_is_where_to_go_on() -> None:
    rows = (Row("a", C), Row("b", N), Row("c", S))

    assert Outcome("t", "T", rows).first_open is rows[1]
    assert Outcome("t", "T", rows[:1]).first_open is None
