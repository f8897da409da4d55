# What a local user can do to a machine of another: run as that user with the machine's folder, the pids of its processes and
# an address of its memory. Prints a line for each thing that was possible.
import os
import socket
import sys

folder, pids, address = sys.argv[1], sys.argv[2].split(","), int(sys.argv[3])


def attempt(what, work):
    try:
        work()
        print(what)
    except OSError:
        pass


def talk(path):
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(path)


def memory(pid):
    with open(f"/proc/{pid}/mem", "rb") as mem:
        mem.seek(address)
        mem.read(16)


attempt("list the folder", lambda: os.listdir(folder))
for name in ["qmp.sock", "tracer.sock", "console.sock"]:
    attempt(f"connect to {name}", lambda: talk(os.path.join(folder, name)))
for name in ["console.log", "qemu.log", "spec.json", "qemu.pid", "process.json"]:
    attempt(f"read {name}", lambda: open(os.path.join(folder, name), "rb").read(1))
for pid in pids:
    attempt("read memory", lambda: memory(pid))
    attempt("signal", lambda: os.kill(int(pid), 0))
