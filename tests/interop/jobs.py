"""Java jobs as clients of the interop suite: Kafka Streams applications and a Kafka Connect worker, both as released.
"""

import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

from brokers import free_port
from cases import BASE
from clients import Confluent, unique

TIMEOUT = 60.0
HERE = os.path.dirname(os.path.abspath(__file__))
client = Confluent()


def until(what, check, seconds=TIMEOUT):
    """What `check` answers, once that is something; asks again while it is nothing."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = check()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {seconds:.0f} s")


class Job:
    """A running Kafka Streams application."""

    def __init__(self, command, log):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.strip())
        self.lines.put(None)

    def _await(self, wanted):
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"the job did not say {wanted!r} within {TIMEOUT:.0f} s") from None
            if line == wanted:
                return self
            if line is None or line.startswith("failed"):
                raise AssertionError(f"the job ended before it said {wanted!r}: {line}")

    def running(self):
        return self._await("running")

    def close(self):
        self.process.stdin.close()
        self._await("closed")
        self.process.wait(TIMEOUT)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Streams:
    """Kafka Streams applications (agents/streams/Jobs.java)."""

    name = "kafka streams"

    def __init__(self, build_dir, script):
        self.script, self.build_dir, self.classes = script, os.path.join(build_dir, "streams"), None

    def version(self):
        return subprocess.run([self.script, "version"], check=True, capture_output=True, text=True).stdout.strip()

    def start(self, broker, job, application, state, output, *inputs, **settings):
        if self.classes is None:
            os.makedirs(self.build_dir, exist_ok=True)
            source = os.path.join(HERE, "agents", "streams", "Jobs.java")
            classes = subprocess.run([self.script, "classpath"], check=True, capture_output=True, text=True).stdout.strip()
            subprocess.run(["javac", "-d", self.build_dir, "-cp", classes, source], check=True)
            self.classes = f"{classes}:{self.build_dir}"
        log = open(os.path.join(self.build_dir, "stderr.log"), "ab")
        more = [f"{name.replace('_', '.')}={value}" for name, value in settings.items()]
        return Job(["java", "-Xmx512m", "-cp", self.classes, "Jobs", broker.bootstrap, job, application, state, output,
                    *inputs, *more], log)


LINES = ["the river runs", "past eve and adam", "the river bends", "from swerve of shore", "to bend of bay", "the river runs on"]


def _topics(broker, *names, partitions=2):
    made = [unique(name) for name in names]
    for topic in made:
        client.create_topic(broker.bootstrap, topic, partitions)
    return made


def _lines(start, count):
    return [(str(i).encode(), LINES[i % len(LINES)].encode(), [], BASE + i) for i in range(start, start + count)]


def _counts(sent):
    """What a word count without a cache writes: for every word 1, 2, 3 and so on, once each and in that order."""
    counts = {}
    for _, line, _, _ in sent:
        for word in line.decode().split():
            counts[word] = counts.get(word, 0) + 1
    return {word: list(range(1, n + 1)) for word, n in counts.items()}


def _by_word(got):
    found = {}
    for word, count, _, _ in got:
        found.setdefault(word.decode(), []).append(int(count))
    return found


def _same_counts(sent, got):
    want, have = _counts(sent), _by_word(got)
    wrong = [word for word in want if have.get(word) != want[word]]
    assert not wrong and have.keys() == want.keys(), f"{wrong[0]}: {have.get(wrong[0])}" if wrong else f"{have.keys()}"


def _word_count(streams, broker, **settings):
    source, sink = _topics(broker, "lines", "counts")
    sent = _lines(0, 60)
    client.produce(broker.bootstrap, source, sent)
    with tempfile.TemporaryDirectory() as state:
        job = streams.start(broker, "words", unique("word-count"), state, sink, source, **settings).running()
        total = sum(len(counts) for counts in _counts(sent).values())
        got = client.consume(broker.bootstrap, sink, total, wait=TIMEOUT)
        job.close()
    _same_counts(sent, got)


def word_count(streams, broker):
    """Words are counted through a repartition topic and a store with a changelog."""
    _word_count(streams, broker)


def windowed_join(streams, broker):
    """Records of two topics whose times lie within ten seconds of each other are joined."""
    left, right, sink = _topics(broker, "left", "right", "joined")
    client.produce(broker.bootstrap, left, [(b"k%d" % i, b"l%d" % i, [], BASE + 1000 * i) for i in range(20)])
    # Even keys come 5 s later and match; odd ones come 60 s later and do not.
    client.produce(broker.bootstrap, right,
                   [(b"k%d" % i, b"r%d" % i, [], BASE + 1000 * i + (5_000 if i % 2 == 0 else 60_000)) for i in range(20)])
    with tempfile.TemporaryDirectory() as state:
        job = streams.start(broker, "join", unique("join"), state, sink, left, right,
                            max_task_idle_ms=2000).running()
        got = client.consume(broker.bootstrap, sink, 11, wait=12.0)
        job.close()
    want = sorted((b"k%d" % i, b"l%d+r%d" % (i, i)) for i in range(0, 20, 2))
    assert sorted((key, value) for key, value, _, _ in got) == want, f"{len(got)} records"


def exactly_once(streams, broker):
    """An exactly-once job that is killed and started again counts every word once."""
    source, sink = _topics(broker, "lines", "counts")
    application = unique("exactly-once")
    sent, settings = _lines(0, 120), {"processing_guarantee": "exactly_once_v2", "consumer_session_timeout_ms": 6000,
                                      "producer_transaction_timeout_ms": 8000}
    with tempfile.TemporaryDirectory() as state:
        job = streams.start(broker, "words", application, state, sink, source, **settings).running()
        client.produce(broker.bootstrap, source, sent[:60])
        client.consume(broker.bootstrap, sink, 30, isolation="read_committed", wait=TIMEOUT)
        job.kill()
        client.produce(broker.bootstrap, source, sent[60:])
        job = streams.start(broker, "words", application, state, sink, source, **settings).running()
        total = sum(len(counts) for counts in _counts(sent).values())
        got = client.consume(broker.bootstrap, sink, total, isolation="read_committed", wait=TIMEOUT)
        job.close()
        more = client.consume(broker.bootstrap, sink, total + 1, isolation="read_committed", wait=3.0)
    assert len(more) == total, f"{len(more)} records instead of {total}"
    _same_counts(sent, got)


def streams_protocol(streams, broker):
    """The word count with the group protocol of KIP-1071, where the broker assigns the tasks."""
    _word_count(streams, broker, group_protocol="streams")


STREAMS_CASES = [word_count, windowed_join, exactly_once, streams_protocol]


class Connect:
    """A Kafka Connect worker in distributed mode, with the file connectors."""

    name = "kafka connect"

    def __init__(self, build_dir, script):
        self.script, self.build_dir = script, os.path.join(build_dir, "connect")

    def version(self):
        return subprocess.run([self.script, "version"], check=True, capture_output=True, text=True).stdout.strip()

    def worker(self, broker, group):
        os.makedirs(self.build_dir, exist_ok=True)
        return Worker(self, broker, group)


class Worker:
    """One worker process; started again with `start`, it is the same worker."""

    def __init__(self, connect, broker, group):
        self.connect, self.process = connect, None
        self.port = free_port()
        self.properties = os.path.join(connect.build_dir, f"{group}.properties")
        string = "org.apache.kafka.connect.storage.StringConverter"
        settings = {
            "bootstrap.servers": broker.bootstrap, "group.id": group, "listeners": f"HTTP://127.0.0.1:{self.port}",
            "key.converter": string, "value.converter": string, "exactly.once.source.support": "enabled",
            "offset.flush.interval.ms": 500, "session.timeout.ms": 6000, "scheduled.rebalance.max.delay.ms": 0,
            **{f"{kind}.storage.topic": f"{group}-{kind}" for kind in ("offset", "config", "status")},
            **{f"{kind}.storage.replication.factor": 1 for kind in ("offset", "config", "status")},
            "offset.storage.partitions": 2, "status.storage.partitions": 1,
        }
        with open(self.properties, "w") as file:
            file.writelines(f"{name}={value}\n" for name, value in settings.items())

    def start(self):
        log = open(os.path.join(self.connect.build_dir, "worker.log"), "ab")
        self.process = subprocess.Popen([self.connect.script, "connect", "distributed", self.properties], stdout=log, stderr=log)
        until("the worker answers", lambda: self.alive() and self.ask("GET", "/connectors") is not None, 90)

    def alive(self):
        assert self.process.poll() is None, f"the worker ended with exit code {self.process.returncode}"
        return True

    def ask(self, method, path, body=None):
        """The answer; nothing while the worker is not ready to answer."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            if error.code in (404, 409, 500, 503):
                return None
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()[:200]}") from None
        except (urllib.error.URLError, OSError):
            return None

    def has(self, name, config):
        until(f"connector {name} is taken", lambda: self.ask("PUT", f"/connectors/{name}/config", config))

    def runs(self, name):
        def state():
            status = self.ask("GET", f"/connectors/{name}/status") or {"tasks": []}
            failed = [task.get("trace", "")[:300] for task in status["tasks"] if task["state"] == "FAILED"]
            assert not failed, f"{name} failed: {failed[0]}"
            return status["tasks"] and all(task["state"] == "RUNNING" for task in status["tasks"])
        until(f"connector {name} runs", state)

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def file_connectors(connect, broker):
    """Lines go from a file through a topic to a file; a killed worker goes on where it was, with each line once."""
    folder, topic = tempfile.mkdtemp(), unique("connect-lines")
    source, sink = os.path.join(folder, "in.txt"), os.path.join(folder, "out.txt")
    lines = [f"line {i}" for i in range(600)]
    client.create_topic(broker.bootstrap, topic, 1)
    worker = connect.worker(broker, unique("connect"))

    def write(some):
        with open(source, "a") as file:
            file.writelines(line + "\n" for line in some)

    def written():
        if not os.path.exists(sink):
            return []
        with open(sink) as file:
            return file.read().splitlines()

    try:
        write(lines[:300])
        worker.start()
        worker.has("source", {"connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "tasks.max": "1",
                              "file": source, "topic": topic, "exactly.once.support": "required"})
        worker.has("sink", {"connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector", "tasks.max": "1",
                            "file": sink, "topics": topic, "consumer.override.isolation.level": "read_committed"})
        worker.runs("source")
        worker.runs("sink")
        until("the first lines are in the file", lambda: len(written()) >= 300)
        assert written() == lines[:300], f"{len(written())} lines"
        worker.kill()
        write(lines[300:])
        worker.start()
        # The sink promises each line at least once, the source exactly once: the topic has every line once.
        until("the last line is in the file", lambda: lines[-1] in written())
        got = client.consume(broker.bootstrap, topic, len(lines) + 1, isolation="read_committed", wait=8.0)
        assert [value.decode() for _, value, _, _ in got] == lines, f"{len(got)} lines in the topic"
        assert set(written()) == set(lines), "the file lacks lines"
    finally:
        worker.kill()
        shutil.rmtree(folder)


CONNECT_CASES = [file_connectors]
