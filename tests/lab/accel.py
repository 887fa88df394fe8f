"""Which accelerator QEMU can really use on this machine."""
import os
import subprocess
import tempfile
from pathlib import Path

TCG = ["tcg,thread=multi,tb-size=512", "max"]
PROBE_SECONDS = 10


def acceleration(kernel):
    """[value of -accel, value of -cpu]. PHOENIX_LAB_ACCEL=tcg skips the probe for KVM.

    That /dev/kvm can be opened proves little: inside some clouds it is there and yet no
    ordinary kernel runs on it. So the lab's own kernel is started without a disk; where KVM
    works it panics for want of a root and, told so, leaves within a second or two.
    """
    if os.environ.get("PHOENIX_LAB_ACCEL") == "tcg" or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return TCG
    answer = _answer_file(kernel)
    if answer.exists():
        cpu = answer.read_text().strip()
    else:
        cpu = next((cpu for cpu in ("host", "host,-arch-capabilities") if _runs(kernel, cpu)), "")
        answer.write_text(cpu)
    return ["kvm", cpu] if cpu else TCG


def _answer_file(kernel):
    # The answer holds until this machine boots again (it may then be another machine).
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    folder = Path(tempfile.gettempdir()) / f"phoenix-lab-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"kvm-{boot}"


def _runs(kernel, cpu):
    command = ["qemu-system-x86_64", "-accel", "kvm", "-machine", "q35", "-cpu", cpu, "-m", "256",
               "-display", "none", "-nodefaults", "-serial", "stdio", "-no-reboot",
               "-kernel", str(kernel), "-append", "console=ttyS0 panic=-1"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, timeout=PROBE_SECONDS)
    except (subprocess.TimeoutExpired, FileNotFoundError):
        return False
    return done.returncode == 0 and b"Unable to mount root fs" in done.stdout
