"""/proc as the kernel wrote it: status, stat, environ, namespace links; and the interfaces that ip shows."""

from __future__ import annotations

import os

import pytest

from lab_helpers.kernel import namespaces, network, procfs

STATUS = """\
Name:\tsleep
Umask:\t0022
State:\tS (sleeping)
Tgid:\t18085
Pid:\t18085
PPid:\t18000
Uid:\t0\t0\t0\t0
NStgid:\t18085\t7
NSpid:\t18085\t7
VmRSS:\t     944 kB
Threads:\t1
Cpus_allowed:\t2
Cpus_allowed_list:\t1
Mems_allowed_list:\t0
"""
KERNEL_THREAD = "Name:\tkworker/0:1\nState:\tI (idle)\nPid:\t12\nPPid:\t2\nThreads:\t1\nCpus_allowed_list:\t0-1\n"
STAT = (
    "4242 (a (strange) na) me) S 1 4242 4242 0 -1 4194560 113 0 0 0 0 0 0 0 20 0 1 0 987654 2359296 236 "
    "18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n"
)


def test_status() -> None:
    found = procfs.parse_status(STATUS)
    assert (found.pid, found.name, found.state, found.ppid, found.threads) == (18085, "sleep", "S", 18000, 1)
    assert found.rss_bytes == 944 * 1024
    assert (found.cpus_allowed_list, found.mems_allowed_list) == ("1", "0")
    assert found.ns_pids == (18085, 7)


def test_status_of_a_kernel_thread() -> None:
    found = procfs.parse_status(KERNEL_THREAD)
    assert (found.rss_bytes, found.ns_pids) == (0, (12,))


def test_start_is_field_22_whatever_the_command_is_called() -> None:
    assert procfs.parse_start_ticks(STAT) == 987654


def test_environ() -> None:
    assert procfs.parse_environ(b"A=1\0B=x=y\0C=\0") == {"A": "1", "B": "x=y", "C": ""}
    assert procfs.parse_environ(b"") == {}


def test_this_process() -> None:
    assert procfs.status().pid == os.getpid()
    assert procfs.ancestors(os.getpid())[0] == os.getppid()
    assert procfs.ancestors(os.getpid())[-1] == 1
    assert os.getpid() in procfs.pids()
    assert procfs.start_ticks(os.getpid()) > 0


def test_namespace_links() -> None:
    assert namespaces.parse_link("net:[4026531840]") == ("net", 4026531840)
    with pytest.raises(ValueError, match="not a namespace link"):
        namespaces.parse_link("/etc/passwd")


def test_namespaces_of_this_process() -> None:
    found = namespaces.of_process()
    assert set(found) <= set(namespaces.KINDS)
    assert {"mnt", "net", "pid", "uts", "ipc", "user"} <= set(found)
    assert namespaces.shared("self", os.getpid()) == tuple(found)


def test_namespaces_of_no_process() -> None:
    with pytest.raises(FileNotFoundError):
        namespaces.of_process(2**22 + 1)


LINKS = """[
{"ifindex":1,"ifname":"lo","flags":["LOOPBACK","UP","LOWER_UP"],"mtu":65536,"address":"00:00:00:00:00:00"},
{},
{"ifindex":5,"ifname":"docker0","flags":["NO-CARRIER","BROADCAST","UP"],"mtu":1500,"address":"02:42:f5:33:34:a4",
 "linkinfo":{"info_kind":"bridge","info_data":{}}},
{"ifindex":8,"link_index":7,"ifname":"vethd2f1","flags":["BROADCAST","UP"],"mtu":1500,"master":"docker0",
 "address":"be:0e:8f:aa:51:3c","linkinfo":{"info_kind":"veth"},"link_netnsid":0},
{"ifindex":9,"link":"labk3x9ab-b","ifname":"labk3x9ab-a","flags":["BROADCAST"],"mtu":1400,"address":"be:0e:8f:aa:51:3d",
 "ifalias":"lab.session=k3x9ab","linkinfo":{"info_kind":"veth"}},
{"ifindex":10,"link":"labk3x9ab-a","ifname":"labk3x9ab-b","flags":["BROADCAST"],"mtu":1400,"linkinfo":{"info_kind":"veth"}}
]"""


def test_interfaces() -> None:
    found = {link.name: link for link in network.parse_links(LINKS)}
    assert set(found) == {"lo", "docker0", "vethd2f1", "labk3x9ab-a", "labk3x9ab-b"}
    assert (found["lo"].kind, found["lo"].up, found["lo"].peer_index) == ("", True, None)
    assert (found["vethd2f1"].peer_index, found["vethd2f1"].bridge) == (7, "docker0")
    # With both ends in one namespace ip names the other end instead of its index.
    assert (found["labk3x9ab-a"].peer_index, found["labk3x9ab-a"].alias) == (10, "lab.session=k3x9ab")
    assert (found["labk3x9ab-a"].mtu_bytes, found["labk3x9ab-a"].up) == (1400, False)


def test_no_interfaces() -> None:
    assert network.parse_links("") == ()
