"""Notebook 00: one exercise to see how exercises work, one prediction to see how predictions work."""

from __future__ import annotations

from lab_helpers.base import session, settings
from lab_helpers.checks import live
from lab_helpers.checks.definition import Exercise, Lab, Prediction, Solution, WrongAnswer
from lab_helpers.checks.outcome import NotYet


def judge_hostname(hostname: str, name: str) -> str:
    """Say that the container is called `lighthouse` inside.

    Raises:
        NotYet: it has another host name.
    """
    if hostname == "lighthouse":
        return "inside it is called lighthouse"
    slip = "the container's name is the engine's; the host name is another option"
    if len(hostname) == 12:
        slip = "without `--hostname`, Docker takes the first twelve digits of the container's id"
    raise NotYet(
        observed=f"{name} is called {hostname} inside",
        expected="inside it is called lighthouse",
        likely_slip=slip,
        hint="The host name is an option of `docker run`.",
    )


def first_has_its_hostname() -> str:
    """The container `first` runs, and inside its host name is `lighthouse`."""
    found = live.running_container("first")
    return judge_hostname(str(found.inspect()["Config"]["Hostname"]), found.name)


def first_is_ours() -> str:
    """It carries this session's label, so that it is removed when you stop."""
    found = live.running_container("first")
    carried = found.inspect()["Config"]["Labels"].get(settings.LABEL)
    if carried == session.current().id:
        return f"{settings.LABEL}={carried}"
    raise NotYet(
        observed="it has no label of ours" if carried is None else f"its label is {settings.LABEL}={carried}",
        expected=session.current().label,
        likely_slip="`--label` is missing: the engine keeps it, and nobody would sweep it",
        hint="Your label is in $LAB_LABEL, ready for `--label`.",
    )


def _run_first(options: str) -> str:
    return (
        "docker rm --force lab-$LAB_SESSION-first >/dev/null 2>&1 || true\n"
        f"docker run --detach {options} --name lab-$LAB_SESSION-first lab/busybox:1 sleep 3600 >/dev/null"
    )


FIRST = Exercise(
    id="st-01",
    title="A container with a host name of its own",
    task=(
        "Start a container `lab-$LAB_SESSION-first` from `lab/busybox:1` with your label, whose host name inside "
        "is `lighthouse`."
    ),
    checks=(first_has_its_hostname, first_is_ours),
    hints=(
        "`docker run --detach`, a label, a name, an image and a command that lasts.",
        "One option of `docker run` sets the host name.",
        '`--hostname lighthouse`, beside `--label "$LAB_LABEL"` and `--name lab-$LAB_SESSION-first`.',
    ),
    solution=Solution(
        _run_first('--label "$LAB_LABEL" --hostname lighthouse'),
        why=(
            "A container has a UTS namespace of its own, and the host name belongs to that: the machine keeps its "
            "own. The label changes nothing in the kernel; it is how the lab finds what is yours."
        ),
    ),
    reset=lambda: live.remove_container("first"),
    wrong_answers=(
        WrongAnswer(_run_first('--label "$LAB_LABEL"'), says="first twelve digits"),
        WrongAnswer(_run_first("--hostname lighthouse"), says="`--label` is missing"),
    ),
    language="bash",
)

WHERE = Prediction(
    id="st-p1",
    question="A container runs `sleep 3600`. Can you see that process on the machine itself, outside the container?",
    options={
        "a": "no: a container is a small virtual machine",
        "b": "yes: it is a process of this machine like any other",
        "c": "only the engine can",
    },
    answer="b",
    because=(
        "There is one kernel, and it runs all processes. Inside, the process sees itself as number 1; outside it "
        "has an ordinary number, and `/proc/NUMBER` tells everything about it."
    ),
    tempting={
        "a": "A virtual machine has a kernel of its own. A container shares the machine's, like every other process.",
        "c": "The engine knows the number because it started the process; anybody may look into `/proc`.",
    },
)

LAB = Lab(notebook="00", title="Start here", exercises=(FIRST,), predictions=(WHERE,))
