"""The two brokers the interop suite runs against, behind one shape: start, stop, kill, restart. `settings` makes a
`server.properties` of a port, `users` are SCRAM users to make before the start, as name: (mechanism, password).

Riverrun runs as `riverrun broker`, Apache Kafka through `../shared/bin/apache-kafka`. A case that fails on Apache Kafka
too is a wrong case, which is why both stand here.
"""

import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def free_ports(distance: int) -> int:
    """A free port such that the one `distance` above it is free too."""
    for _ in range(100):
        port = free_port()
        with socket.socket() as other:
            try:
                other.bind(("127.0.0.1", port + distance))
                return port
            except (OSError, OverflowError):
                continue
    raise AssertionError("no two free ports found")


#: So that nothing in the cases waits for long.
FAST = ["group.initial.rebalance.delay.ms=0", "log.cleaner.backoff.ms=300", "group.share.min.record.lock.duration.ms=1000"]


class Riverrun:
    """`riverrun broker` on a data directory of its own."""

    name = "riverrun"

    def __init__(self, binary: str, settings=None, users=None):
        self.binary = binary
        self.data_dir = tempfile.mkdtemp(prefix="riverrun-interop-")
        self.port = free_ports(100)
        self.process: subprocess.Popen | None = None
        self.how = ["--listen", self.bootstrap]
        if settings is not None:
            file = self.data_dir + ".properties"
            with open(file, "w") as out:
                out.writelines(f"{name}={value}\n" for name, value in settings(self.port).items())
            self.how = ["--config", file]
        for name, (mechanism, password) in (users or {}).items():
            subprocess.run([self.binary, "user", "--data-dir", self.data_dir, "add", name, "--scram", mechanism,
                            "--password-file", "-"], input=password + "\n", text=True, check=True, stdout=subprocess.DEVNULL)

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log_dir(self) -> str:
        return self.data_dir

    def start(self) -> None:
        self.log = open(os.path.join(self.data_dir + ".log"), "ab")
        self.process = subprocess.Popen(
            [self.binary, "broker", "--data-dir", self.data_dir, *self.how,
             *(part for setting in FAST for part in ("--set", setting))],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )
        await_port(self.port, self.process)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def resume(self) -> None:
        """Starts again after a kill."""
        self.start()

    def restart(self) -> None:
        self.stop()
        self.start()

    def forget(self, topic: str) -> None:
        _forget(self, topic)

    def _end(self, sig: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(sig)
        code = self.process.wait(timeout=30)
        if sig == signal.SIGTERM and code != 0:
            raise AssertionError(f"riverrun broker ended with exit code {code} on SIGTERM, see {self.data_dir}.log")
        self.process = None


class ApacheKafka:
    """The released Apache Kafka, one node."""

    name = "apache-kafka"

    def __init__(self, script: str, settings=None, users=None):
        self.script = script
        self.dir = tempfile.mkdtemp(prefix="kafka-interop-")
        self.port = free_ports(100)  # the controller listens 100 above
        self.how = [part for setting in FAST for part in ("-c", setting)]
        for name, value in (settings(self.port) if settings else {}).items():
            self.how += ["-c", f"{name}={value}"]
        for name, (mechanism, password) in (users or {}).items():
            self.how += ["-s", f"{mechanism}=[name={name},password={password}]"]

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def log_dir(self) -> str:
        return os.path.join(self.dir, "node-1", "data")

    def _run(self, *args: str) -> None:
        subprocess.run([self.script, *args], check=True, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        self._run("start", "-d", self.dir, "-p", str(self.port), *self.how)

    def stop(self) -> None:
        self._run("stop", "-d", self.dir)

    def kill(self) -> None:
        self._run("kill", "-d", self.dir)

    def resume(self) -> None:
        self._run("restart", "-d", self.dir, "-i", "1")

    def restart(self) -> None:
        self.stop()
        self.resume()

    def forget(self, topic: str) -> None:
        _forget(self, topic)


def segments(broker, topic: str, suffix: str = "log") -> list[str]:
    """The files with records of a topic that hold any, over all its partitions; or those beside them."""
    files = sorted(glob.glob(os.path.join(broker.log_dir, f"{topic}-*", f"{'[0-9]' * 20}.{suffix}")))
    return [file for file in files if os.path.getsize(file) > 0]


def _forget(broker, topic: str) -> None:
    """Stops the broker, takes a topic's partitions from its disk, and starts it again: it has the topic, with nothing in it."""
    broker.stop()
    for folder in glob.glob(os.path.join(broker.log_dir, f"{topic}-*")):
        shutil.rmtree(folder)
    broker.resume()


def await_port(port: int, process: subprocess.Popen, seconds: float = 30) -> None:
    """Returns once something accepts on `port`; a broker that ended first is an error."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"the broker ended with exit code {process.returncode} before it accepted connections")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.005)
    raise AssertionError(f"nothing accepts on port {port} after {seconds} s")
