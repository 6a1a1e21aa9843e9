"""install.sh on a booted machine without network: the manual's lines, nothing left behind, nothing half done."""

from __future__ import annotations

import json
import time

import pytest

from tests.machines.bundles import HOME, NEXT, NOW, bring, difference, every_file, installer
from tests.machines.conftest import NewRack
from tests.machines.machine import Machine
from tests.machines.wait import wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

UNITS = ("servhad.service", "servha-guardd.service", "servwebd.service", "servha.target")
# systemd's figure, 0 to 10, at most. The unit files say why the first two are not confined further.
EXPOSURE = {"servhad.service": 9.7, "servha-guardd.service": 7.0, "servwebd.service": 2.0}
# Programs of the machine that install.sh calls, one after the other made to fail at their n-th call.
FAILURES = {
    "lay_out.py": "python3.11 1",
    "programs in place": "mv 1",
    "a unit": "install 2",
    "the user": "systemd-sysusers 1",
    "enabling": "systemctl enable",
    "starting": "systemctl start",
}
FAILING = """#!/bin/sh
# Stands before the real program and fails at one call: the n-th, or the first with this word.
case "{when}" in
    [0-9]*) echo x >>/tmp/calls; [ "$(wc -l </tmp/calls)" != "{when}" ] || exit 1 ;;
    *) for word in "$@"; do [ "$word" != "{when}" ] || [ -e /tmp/failed ] || {{ : >/tmp/failed; exit 1; }}; done ;;
esac
exec {real} "$@"
"""


@pytest.fixture
def machine(new_rack: NewRack) -> Machine:
    machine = new_rack("private").add("node1")
    machine.power_on()
    return machine


def install(
    machine: Machine, *options: str, keys: str = "", language: str = "C.UTF-8", path: str = ""
) -> str:
    """What install.sh said; its exit status is the last line."""
    done = machine.run(
        ["env", f"LANG={language}", f"PATH={path}/usr/sbin:/usr/bin:/sbin:/bin"]
        + ["sh", "-c", f'cd {HOME} && ./install.sh "$@" 2>&1; echo "status $?"', "-", *options],
        text=keys, timeout_s=120,
    )  # fmt: skip
    return done.stdout


def active(machine: Machine) -> set[str]:
    return {unit for unit in UNITS if machine.unit(unit, "ActiveState")["ActiveState"] == "active"}


def test_installs_with_the_manuals_words_and_uninstalls_to_the_last_file(machine: Machine) -> None:
    bring(machine, installer(NOW))
    before = every_file(machine)
    began_s = time.monotonic()
    said = install(machine, keys="x", language="zh_CN.UTF-8")
    assert time.monotonic() - began_s < 60
    assert said.startswith("您的系统已满足安装条件, 按任意键开始安装...\n")
    assert said.endswith(
        "=====\n输入'servha'命令启动配置监控端开始配置热备系统。\n"
        "恭喜你, ServHA安装完毕, 请尽情使用吧!\n=====\nstatus 0\n"
    )
    assert active(machine) == set(UNITS)
    page = machine.run(["curl", "-sk", "--max-time", "20", "https://127.0.0.1:7700/"]).stdout
    assert "importmap" in page, "the console shows its pages"
    assert machine.run(["servha", "--version"]).stdout == f"servha {NOW}\n"
    assert machine.run(["readlink", "/usr/share/servha/log"]).stdout == "/var/log/servha\n"
    assert "rm_clearup" in machine.run(["/usr/share/servha/op"], check=False).stderr

    for unit, exposure in EXPOSURE.items():
        shown = machine.run(["systemd-analyze", "security", "--no-pager", unit]).stdout
        assert float(shown.splitlines()[-1].split(":")[1].split()[0]) <= exposure, shown

    installed = every_file(machine)
    assert "nothing was changed" in install(machine, "-y")
    assert not difference(installed, every_file(machine))

    said = install(machine, "--uninstall", "-y")
    assert said == "ServHA is uninstalled.\nstatus 0\n"
    assert not difference(before, every_file(machine))
    assert not active(machine)


def lighten(machine: Machine) -> None:
    """Take the libraries out of the unpacked bundle: laying them out again and again is most of the time."""
    sums = "find . -type f -not -name SHA256SUMS | sort | xargs sha256sum >SHA256SUMS"
    machine.run(["sh", "-c", f"cd {HOME} && find wheels -type f -not -name 'servha-*' -delete && {sums}"])


def test_a_step_that_fails_leaves_the_machine_as_it_was(machine: Machine) -> None:
    bring(machine, installer(NOW))
    lighten(machine)
    before = every_file(machine)
    for what, failure in FAILURES.items():
        program, when = failure.split()
        real = machine.run(["sh", "-c", f"command -v {program}"]).stdout.strip()
        machine.run(["sh", "-c", "rm -rf /tmp/failing /tmp/calls /tmp/failed"])
        machine.write(f"/tmp/failing/{program}", FAILING.format(when=when, real=real), mode=0o755)
        options = ["--python", "/tmp/failing/python3.11"] if program.startswith("python") else []
        if options:  # its first call is the look at its version
            machine.write(f"/tmp/failing/{program}", FAILING.format(when=2, real=real), mode=0o755)
        said = install(machine, "-y", *options, path="/tmp/failing:")
        assert "putting everything back" in said, (what, said)
        assert "could not be undone" not in said, (what, said)
        assert "status 1" in said, (what, said)
        assert not active(machine), what
    assert not difference(before, every_file(machine))


def test_all_that_is_missing_is_said_at_once_and_nothing_is_changed(machine: Machine) -> None:
    bring(machine, installer(NOW))
    machine.run(["sh", "-c", f"echo >>{HOME}/lay_out.py; echo riscv64 >{HOME}/ARCH"])
    machine.write("/usr/local/sbin/getenforce", "#!/bin/sh\necho Enforcing\n", mode=0o755)
    before = every_file(machine)
    said = install(machine, "-y", "--python", "/nowhere/python3", path="/usr/local/sbin:")
    for words in ("damaged", "riscv64", "Python 3.11", "SELinux is enforcing", "Nothing was changed"):
        assert words in said
    assert "status 1" in said
    assert not difference(before, every_file(machine))


def test_selinux_is_disabled_when_somebody_says_so_and_only_then(machine: Machine) -> None:
    """There is no SELinux in the kernel of this machine: the programs that ask it are played."""
    bring(machine, installer(NOW))
    machine.write("/etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n")
    machine.write("/usr/local/sbin/getenforce", "#!/bin/sh\ncat /tmp/mode\n", mode=0o755)
    machine.write(
        "/usr/local/sbin/setenforce",
        "#!/bin/sh\ncase $1 in 0) echo Permissive ;; *) echo Enforcing ;; esac >/tmp/mode\n",
        mode=0o755,
    )
    machine.write("/tmp/mode", "Enforcing\n")
    before = every_file(machine)

    said = install(machine, keys="n\n", language="zh_CN.UTF-8", path="/usr/local/sbin:")
    assert said.startswith("检测到您的系统开启了SELINUX, 需要禁用SELINUX后才能继续\n是否需要禁用(y/n)? ")
    assert "安装已取消" in said
    # Disabled, and then nobody presses a key: it is enabled again.
    said = install(machine, keys="y\n", language="zh_CN.UTF-8", path="/usr/local/sbin:")
    assert "已成功禁用SELINUX。" in said
    assert "系统已恢复原状" in said
    assert not difference(before, every_file(machine))
    assert machine.read("/tmp/mode") == "Enforcing\n"

    assert "status 0" in install(machine, "-y", "--selinux", "permissive", path="/usr/local/sbin:")
    assert machine.read("/etc/selinux/config").startswith("SELINUX=permissive\n")
    assert "status 0" in install(machine, "--uninstall", "-y", path="/usr/local/sbin:")
    assert not difference(before, every_file(machine))


def test_an_upgrade_keeps_what_runs_and_an_uninstallation_refuses_beside_it(machine: Machine) -> None:
    bring(machine, installer(NOW))
    assert "status 0" in install(machine, "-y")
    for name, script in APPLICATION.items():
        machine.write(f"/opt/application/{name}", script, mode=0o755)
    scripts = " ".join(f"{name}_script=/opt/application/{name}" for name in APPLICATION)
    for command in (
        "cluster init --name one --node node1 --link private=private --profile fast",
        "tree create web --hosts node1 --yes",
        f"resource create web/app custom {scripts} --yes",
    ):
        machine.run(["servha", *command.split()])
    wait_for(lambda: runs(machine), within_s=30, what="the application runs")
    life, configuration = machine.read("/run/application.pid"), machine.read("/etc/servha/cluster.key")

    bring(machine, installer(NEXT))
    said = install(machine, "-y")
    assert f"upgraded from {NOW} to {NEXT}" in said
    wait_for(lambda: runs(machine), within_s=30, what="the application is adopted")
    assert machine.run(["servha", "--version"]).stdout == f"servha {NEXT}\n"
    assert active(machine) == set(UNITS)
    assert (machine.read("/run/application.pid"), machine.read("/etc/servha/cluster.key")) == (
        life,
        configuration,
    )
    assert machine.read("/var/application.starts").count("\n") == 1

    bring(machine, installer(NOW))
    assert f"the newer version {NEXT} is installed" in install(machine, "-y")
    machine.run(["rm", "-rf", HOME])

    for going in ("", "systemctl stop servhad; "):
        refused = machine.run(["sh", "-c", f"{going}/usr/share/servha/uninstall.sh -y"], check=False)
        assert refused.returncode == 1
        assert "may be running here" in refused.stderr
    machine.run(["systemctl", "start", "servhad"])
    machine.run(["servha", "tree", "stop", "web", "--yes"])
    machine.run(["/usr/share/servha/uninstall.sh", "-y", "--keep-config"])
    assert machine.read("/etc/servha/cluster.key") == configuration
    assert machine.run(["ls", "/usr/share/servha"], check=False).returncode != 0


# Every start leaves a line, so an application that was started twice cannot look untouched.
APPLICATION = {
    "start": "#!/bin/sh\necho >>/var/application.starts\nsetsid sleep 100000 </dev/null >/dev/null 2>&1 &\n"
    "echo $! >/run/application.pid\n",
    "stop": '#!/bin/sh\nkill "$(cat /run/application.pid)"\n',
    "test": '#!/bin/sh\nkill -0 "$(cat /run/application.pid)"\n',
}


def runs(machine: Machine) -> bool:
    shown = machine.run(["servha", "tree", "show", "web", "-o", "json"], check=False)
    return shown.returncode == 0 and '"running"' in json.dumps(json.loads(shown.stdout))
