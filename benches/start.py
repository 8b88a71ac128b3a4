#!/usr/bin/env python3
"""Time from exec to the first answered ApiVersions request, and idle memory, of a broker started on an empty directory.

    benches/start.py target/release/riverrun [path of a script that starts Apache Kafka]

With the second argument both brokers are measured in turns, and ratios are printed. Medians of 5, with minimum and
maximum.
"""

import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

RUNS = 5
# ApiVersions v0: length, key 18, version 0, correlation id 1, no client id.
REQUEST = struct.pack(">ihhih", 10, 18, 0, 1, -1)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def first_answer(port, process, began):
    while True:
        assert process is None or process.poll() is None, "the broker ended"
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(REQUEST)
                if len(connection.recv(8)) == 8:
                    return (time.monotonic() - began) * 1000
        except OSError:
            pass
        time.sleep(0.0005)


def resident_mib(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


def riverrun(binary):
    port, folder = free_port(), tempfile.mkdtemp()
    began = time.monotonic()
    process = subprocess.Popen([binary, "broker", "--data-dir", folder, "--listen", f"127.0.0.1:{port}"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ready = first_answer(port, process, began)
    memory = resident_mib(process.pid)
    process.terminate()
    process.wait()
    return ready, memory


def kafka(script):
    """The time of the script includes formatting the storage, so only the broker's own start is counted: a restart."""
    port, folder = free_port(), tempfile.mkdtemp()
    start = subprocess.run([script, "start", "-d", folder, "-p", str(port)], capture_output=True, text=True, check=True)
    subprocess.run([script, "stop", "-d", folder], check=True, stdout=subprocess.DEVNULL)
    began = time.monotonic()
    restarted = subprocess.Popen([script, "restart", "-d", folder, "-i", "1"], stdout=subprocess.DEVNULL)
    ready = first_answer(port, None, began)
    restarted.wait()
    with open(os.path.join(folder, "node-1", "pid")) as pid:
        memory = resident_mib(int(pid.read()))
    subprocess.run([script, "stop", "-d", folder], check=True, stdout=subprocess.DEVNULL)
    assert start.returncode == 0
    return ready, memory


def show(name, runs):
    for index, unit in enumerate(("ms to the first answer", "MiB resident, idle")):
        values = [run[index] for run in runs]
        print(f"{name}: {statistics.median(values):.1f} {unit} ({min(values):.1f} to {max(values):.1f})")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    ours, theirs = [], []
    for _ in range(RUNS):
        ours.append(riverrun(sys.argv[1]))
        if len(sys.argv) > 2:
            theirs.append(kafka(sys.argv[2]))
    show("riverrun", ours)
    if theirs:
        show("apache kafka", theirs)
        for index, what in enumerate(("start", "memory")):
            ratio = statistics.median(run[index] for run in theirs) / statistics.median(run[index] for run in ours)
            print(f"{what}: {ratio:.0f} times less than Apache Kafka")


if __name__ == "__main__":
    main()
