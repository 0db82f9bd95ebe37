"""Notebook 01: what do you think will happen?"""

from __future__ import annotations

from lab_helpers.checks.definition import Prediction

LIMIT_HIT = Prediction(
    id="cg-p1",
    question="A process in a group with a limit of 64 MiB touches 100 MiB. What happens?",
    options={
        "a": "malloc returns NULL: the program gets an error that it can handle",
        "b": "the kernel kills the process",
        "c": "the process becomes slow, but goes on",
        "d": "other groups must give memory back",
    },
    answer="b",
    because=(
        "The memory was promised long ago; only the touch of a page makes the kernel find room, and a touch cannot "
        "return an error. The kernel reclaims what it can inside the group, then ends a process of the group with "
        "SIGKILL and counts it: `oom_kill` in memory.events (v1: memory.oom_control)."
    ),
    tempting={
        "a": "malloc only reserves addresses. When the page is touched, there is no call left that could fail.",
        "c": "Swap would have made it slow; this group has none.",
        "d": "A limit is between a group and the kernel. Nobody else pays, which is the point of it.",
    },
)

THE_BRAKE = Prediction(
    id="cg-p2",
    question="Now memory.high is 32 MiB, memory.max is not set, and the program touches 33 MiB. What happens?",
    options={"a": "it is killed", "b": "it ends normally, held up on its way", "c": "nothing: high is only advice"},
    answer="b",
    because=(
        "Above memory.high the kernel stops the group's processes at each further bit of memory, to reclaim and, "
        "the further above, to sleep. `high` in memory.events counts how often that happened, and `oom_kill` "
        "stays 0. Operators watch that count: it warns before anything dies. How long the waiting "
        "was is in memory.pressure (section 11)."
    ),
    tempting={
        "a": (
            "Passing memory.high never calls the OOM killer. Passing memory.max does, and so does a machine that "
            "runs out of memory."
        ),
        "c": "Advice is v1's memory.soft_limit_in_bytes (and v2's memory.low): it counts when the machine runs short.",
    },
)

ALONE = Prediction(
    id="cg-p3",
    question=(
        "heavy weighs 200, light weighs 100. heavy has nothing to do. How much of the CPU does light's busy loop get?"
    ),
    options={"a": "a third", "b": "all of it", "c": "half"},
    answer="b",
    because=(
        "A weight decides only between groups that want to run at the same moment. cpu.weight is work-conserving: "
        "no CPU stays idle while somebody wants it."
    ),
    tempting={"a": "A third is what it gets while heavy runs too. A cap that holds always is a quota: cpu.max."},
)

THROTTLED = Prediction(
    id="cg-p4",
    question=(
        "cpu.max is `5000 100000`, and a busy loop runs in the group on an otherwise idle CPU. In how many of "
        "its periods is it throttled?"
    ),
    options={"a": "none, for the CPU is idle", "b": "one in twenty", "c": "nearly all"},
    answer="c",
    because=(
        "The loop burns its 5 ms at the beginning of each 100 ms and then waits 95 ms, in every period: "
        "nr_throttled follows nr_periods in cpu.stat. A web server sees that as up to 95 ms of latency which no "
        "profiler of the program can explain."
    ),
    tempting={
        "a": "A quota does not care whether anybody else wants the CPU.",
        "b": "One in twenty is the share of time that it gets, not the share of periods in which it is stopped.",
    },
)

FORK_BOMB = Prediction(
    id="cg-p5",
    question="A fork bomb runs in a container with `--pids-limit 20`. What does the rest of the machine notice?",
    options={
        "a": "it slows down until the kernel kills the bomb",
        "b": "nearly nothing: inside, fork fails; outside, it works",
        "c": "the container is killed at the twenty-first process",
    },
    answer="b",
    because=(
        "fork returns EAGAIN in the group and nowhere else. Nobody is killed: the limit stops growth. pids.events "
        "counts each refusal. What the bomb still takes is CPU time, as it tries again and again; a quota "
        "helps against that."
    ),
    tempting={
        "a": (
            "Without the limit PIDs, which belong to the whole machine, run out for all; and the kernel kills "
            "nobody for that."
        ),
        "c": "The pids controller only ever says no. Killing is the memory controller's.",
    },
)

HOW_MANY_CPUS = Prediction(
    id="cg-p6",
    question="A container runs with `--cpus 0.5`. How many CPUs does `nproc` count inside?",
    options={"a": "1, as half a CPU is rounded up", "b": "as many as the machine has", "c": "0"},
    answer="b",
    because=(
        "A quota limits time, on any CPU. `nproc` asks on which CPUs it may run, and that is the cpuset's "
        "business. So programs that start one thread for each CPU start too many and are throttled, unless they "
        "read cpu.max as the JVM does, and Go since 1.25."
    ),
    tempting={"a": "Only a pin (`--cpuset-cpus`) changes the count."},
)

WHICH_SIGNAL = Prediction(
    id="cg-p7",
    question="Which signal does `docker pause` send to the processes in the container?",
    options={"a": "SIGSTOP", "b": "SIGTERM", "c": "none"},
    answer="c",
    because=(
        "It writes 1 into cgroup.freeze (v1: FROZEN into freezer.state). The group stops as a whole. No signal is "
        "delivered, so there is nothing to catch or to ignore; afterwards only the clock, which went on, tells."
    ),
    tempting={
        ("a"): (
            "SIGSTOP stops one process, its parent is told, and a process forked meanwhile would go on. The "
            "freezer takes all."
        ),
        "b": "That is `docker stop`.",
    },
)

MKNOD = Prediction(
    id="cg-p8",
    question=(
        "root in an ordinary container makes a device node for the host's disk with mknod, and reads it. What happens?"
    ),
    options={
        "a": "it reads the host's disk: root is root",
        "b": "mknod is refused",
        "c": "the node is made, and opening it is refused",
    },
    answer="c",
    because=(
        "Docker leaves the capability CAP_MKNOD, so the node can be made; the device controller allows mknod and "
        "then refuses to open it: EPERM. A node is only a name. The rule is about the numbers behind it."
    ),
    tempting={
        "a": "It would be so without the device controller, and is so with `--privileged`.",
        "b": "Docker and containerd let root make nodes by default; the guard stands at open.",
    },
)

ALL = (LIMIT_HIT, THE_BRAKE, ALONE, THROTTLED, FORK_BOMB, HOW_MANY_CPUS, WHICH_SIGNAL, MKNOD)
