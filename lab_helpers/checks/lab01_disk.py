"""Notebook 01, disks: a write limit on one device, and a device that may be read but not written."""

from __future__ import annotations

import os

from lab_helpers.base import units
from lab_helpers.checks import live
from lab_helpers.checks.definition import Exercise, Solution, WrongAnswer
from lab_helpers.checks.outcome import NotStarted, NotYet
from lab_helpers.containers import Container
from lab_helpers.kernel.cgroups import IoMax
from lab_helpers.kernel.loop_device import ScratchDisk, devices_of

LIMIT = 2 * units.MIB
SIZE = 64 * units.MIB
INSIDE = "/dev/disk"

_made: list[ScratchDisk] = []
_before: dict[str, str | None] = {}
"""What DISK and DISK_NUMBER were: the notebook's own disk, which a reset points them to again."""


def attach() -> ScratchDisk:
    """Return a scratch disk of this process and say where it is: DISK, and DISK_NUMBER (major:minor)."""
    if _made and not devices_of(_made[0].file):  # a sweep took it
        _made.clear()
        _before.clear()
    if not _made:
        _before.update({name: os.environ.get(name) for name in ("DISK", "DISK_NUMBER")})
        _made.append(ScratchDisk("exercise", SIZE).start())
    os.environ["DISK"], os.environ["DISK_NUMBER"] = str(_made[0].device), _made[0].number
    return _made[0]


def prepare() -> None:
    """Attach the scratch disk."""
    attach()


def detach() -> None:
    """Take the exercises' scratch disk off again; none there is a success."""
    while _made:
        _made.pop().stop()
    for name, value in _before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    _before.clear()


def judge_io(limits: dict[str, IoMax], number: str) -> str:
    """Say that writes to one device are limited to 2 MiB a second, and reads are not.

    Args:
        limits: What the group's files say, by device number.
        number: The scratch disk.

    Raises:
        NotStarted: nothing is limited.
        NotYet: something else is.
    """
    if not limits:
        raise NotStarted("the group has no I/O limit", hint="The file is io.max (v1: blkio.throttle.write_bps_device).")
    expected = f"writes to {number} are limited to {LIMIT} bytes a second, nothing else is"
    found = limits.get(number)
    if found is None:
        raise NotYet(
            observed=f"limited: {', '.join(limits)}",
            expected=expected,
            likely_slip="the limit is on another device: it names a device by its number, not by its path",
            hint="`echo $DISK_NUMBER` shows the scratch disk's.",
        )
    if found == IoMax(wbps=LIMIT):
        return f"{number}: {LIMIT} bytes a second may be written"
    said = ", ".join(f"{key} {value}" for key, value in vars(found).items() if value is not None)
    if found.wbps == LIMIT:
        slip = "more is limited than writing"
    elif found.wbps is None and found.rbps is not None:
        slip = "`r` is for reading: rbps limits reads (v1: read_bps_device)"
    elif found.wbps is None:
        slip = "operations are limited, not bytes"
    elif found.wbps < units.KIB:
        slip = "the file wants bytes: this disk would take days for a megabyte"
    else:
        slip = "another number, or counted in thousands: 2 MiB are 2 x 1024 x 1024 bytes"
    raise NotYet(observed=f"{number}: {said}", expected=expected, likely_slip=slip)


def slow_writes_slowly() -> str:
    """The cgroup `slow` may write 2 MiB a second to the scratch disk, and read as it likes."""
    return judge_io(live.group("slow").io.limits(), attach().number)


def _limit_answer(v2: str, v1: str) -> str:
    return (
        f'mkdir -p $CG/slow\necho "$DISK_NUMBER {v2}" > $CG/slow/io.max\n'
        f'# --- on cgroup v1 ---\nmkdir -p $CG_BLKIO/slow\necho "$DISK_NUMBER {v1.split()[1]}" '
        f"> $CG_BLKIO/slow/blkio.throttle.{v1.split(maxsplit=1)[0]}"
    )


def _reset_slow() -> None:
    live.remove_group("slow")
    detach()


SLOW = Exercise(
    id="cg-05",
    title="A slow writer",
    task=(
        "Make a cgroup `slow` below your session's ($CG; v1: $CG_BLKIO) that may write at most 2 MiB a second to the "
        "disk $DISK, whose number is $DISK_NUMBER, and read it without a limit."
    ),
    checks=(slow_writes_slowly,),
    hints=(
        "A limit is for one device, so the line begins with the device's number, in $DISK_NUMBER.",
        (
            "v2: one file, io.max, with words such as `wbps=`. v1: a file for each word, such as "
            "blkio.throttle.write_bps_device."
        ),
        '`echo "$DISK_NUMBER wbps=2097152" > $CG/slow/io.max`',
    ),
    solution=Solution(
        _limit_answer("wbps=2097152", "write_bps_device 2097152"),
        why=(
            "The kernel knows disks by major:minor. Each request of the group to that device is counted in bytes "
            "and waits its turn when the budget of the moment is spent; other devices and other groups do not "
            "notice."
        ),
    ),
    reset=_reset_slow,
    wrong_answers=(
        WrongAnswer(_limit_answer("rbps=2097152", "read_bps_device 2097152"), says="is for reading"),
        WrongAnswer(_limit_answer("wbps=2", "write_bps_device 2"), says="the file wants bytes"),
    ),
    language="cgroup",
    prepare=prepare,
)


def _try(container: Container, source: str, target: str) -> tuple[bool, str]:
    done = container.exec(["dd", f"if={source}", f"of={target}", "bs=512", "count=1"])
    return done.exit_code == 0, done.output.strip().splitlines()[-1] if done.output.strip() else ""


def _reader() -> Container:
    reader = live.running_container("reader")
    if reader.exec(["test", "-b", INSIDE]).exit_code != 0:
        raise NotYet(
            observed=f"inside there is no block device {INSIDE}",
            expected=f"the scratch disk is there, under the name {INSIDE}",
            likely_slip="it has another name inside, or none: the second part of `--device` is the name inside",
            hint="`--device OUTSIDE:INSIDE:ACCESS` has three parts.",
        )
    return reader


def reader_can_read() -> str:
    """Inside the container `reader` the scratch disk can be read as /dev/disk."""
    works, words = _try(_reader(), INSIDE, "/dev/null")
    if works:
        return "one block was read"
    raise NotYet(
        observed=words,
        expected="a block can be read",
        likely_slip="the node is there, but the device controller does not allow it: a name is no permission",
        hint="A bind mount (`--volume`) brings the name only. `--device` brings name and permission.",
    )


def reader_cannot_write() -> str:
    """Writing to it is refused."""
    reader = _reader()
    works, words = _try(reader, INSIDE, "/dev/null")
    if not works:
        raise NotYet(observed=words, expected="reading works, and only writing is refused")
    works, words = _try(reader, "/dev/zero", INSIDE)
    if not works and "not permitted" in words:
        return words
    raise NotYet(
        observed="a block was written" if works else words,
        expected="writing is refused: Operation not permitted",
        likely_slip="without a third part, `--device` allows everything: rwm",
        hint="Access is letters: r (read), w (write), m (mknod).",
    )


def _run_reader(options: str) -> str:
    return (
        "docker rm --force lab-$LAB_SESSION-reader >/dev/null 2>&1 || true\n"
        f'docker run --detach --label "$LAB_LABEL" --name lab-$LAB_SESSION-reader {options} '
        "lab/busybox:1 sleep 3600 >/dev/null"
    )


def _reset_reader() -> None:
    live.remove_container("reader")
    detach()


READER = Exercise(
    id="cg-09",
    title="Read, do not write",
    task=(
        "Start a container `lab-$LAB_SESSION-reader` from `lab/busybox:1` that can read the disk $DISK as "
        "/dev/disk, but not write to it."
    ),
    checks=(reader_can_read, reader_cannot_write),
    hints=(
        "Docker refuses every device by default; one option allows one device.",
        "`--device` has three parts, separated by colons: outside, inside, access.",
        "`--device $DISK:/dev/disk:r`",
    ),
    solution=Solution(
        _run_reader("--device $DISK:/dev/disk:r"),
        why=(
            "The engine makes the node inside and adds the rule `b 7:N r` to the container's cgroup: to "
            "devices.list on v1, to the eBPF program on v2. The kernel asks that rule at each open, whatever the "
            "node's file mode says, and also of root."
        ),
    ),
    reset=_reset_reader,
    wrong_answers=(
        WrongAnswer(_run_reader("--device $DISK:/dev/disk"), says="allows everything"),
        WrongAnswer(_run_reader("--volume $DISK:/dev/disk"), says="a name is no permission"),
    ),
    language="bash",
    prepare=prepare,
)
