"""Clients that are not Python, each in a process of its own that answers requests: one JSON object per line each way.

A request names its operation in `op` and says where the broker is in `bootstrap`, and in `security` (see
clients.Bootstrap) how to be let in; bytes are base64. The answer is
`{"ok": ...}` or `{"error": "..."}`. The agents below `agents/` all know these operations:

    version  topics  groups                     what there is
    create_topic  delete_topic  delete_group    topic, partitions, configs; group
    topic_config  set_topic_config              topic; configs
    offset_for_time  delete_records             topic, partition; timestamp or offset
    produce    topic, records, codec, idempotent; transaction (commit, abort, leave open) and transactional_id
    consume    topic, count, group, commit, isolation, wait_ms: what was read, also when the time was up before
    two_members  topic, partitions, group, strategy, protocol, instance_ids: who owned which partitions at last
    transform  source, sink, group, transactional_id, count: reads, writes on and commits in transactions
    share      topic, group, count, wait_ms: what a member of a share group was given, and the how-manieth time; with `hold`
               another member has taken it before and keeps it (Java only)
    set_group_config  group, configs (Java only)
    fence      topic, transactional_id: the error a producer gets when a second one has taken its id
"""

import base64
import json
import os
import queue
import shutil
import subprocess
import threading

from clients import TIMEOUT, unique

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "agents")
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def _text(value):
    return None if value is None else base64.b64encode(value).decode()


def _bytes(text):
    return None if text is None else base64.b64decode(text)


class Agent:
    """A client in a process of its own. The process is started with the first request and ends with `close`."""

    codecs = CODECS
    timestamps = headers = admin = True
    #: What it can do beyond the common cases.
    can = {"nulls", "large", "time", "delete records", "configs", "groups", "transactions", "transform", "secured", "oauth",
           "crash"}

    def __init__(self, build_dir):
        self.build_dir = os.path.join(build_dir, self.name)
        self.process = None

    def version(self):
        return self._ask("version")

    def create_topic(self, bootstrap, topic, partitions, configs=None):
        self._ask("create_topic", bootstrap, topic=topic, partitions=partitions, configs=configs or {})

    def delete_topic(self, bootstrap, topic):
        self._ask("delete_topic", bootstrap, topic=topic)

    def topics(self, bootstrap):
        return set(self._ask("topics", bootstrap))

    def topic_config(self, bootstrap, topic):
        return self._ask("topic_config", bootstrap, topic=topic)

    def set_topic_config(self, bootstrap, topic, configs):
        self._ask("set_topic_config", bootstrap, topic=topic, configs=configs)

    def groups(self, bootstrap):
        return set(self._ask("groups", bootstrap))

    def delete_group(self, bootstrap, group):
        self._ask("delete_group", bootstrap, group=group)

    def offset_for_time(self, bootstrap, topic, partition, timestamp):
        return self._ask("offset_for_time", bootstrap, topic=topic, partition=partition, timestamp=timestamp)

    def delete_records(self, bootstrap, topic, partition, offset):
        self._ask("delete_records", bootstrap, topic=topic, partition=partition, offset=offset)

    def produce(self, bootstrap, topic, records, codec="none", idempotent=False, **transaction):
        rows = [{"key": _text(key), "value": _text(value), "headers": [[n, _text(v)] for n, v in headers],
                 "timestamp": timestamp} for key, value, headers, timestamp in records]
        self._ask("produce", bootstrap, topic=topic, records=rows, codec=codec, idempotent=idempotent, **transaction)

    def consume(self, bootstrap, topic, count, group=None, commit=False, isolation="read_uncommitted", wait=TIMEOUT):
        rows = self._ask("consume", bootstrap, topic=topic, count=count, group=group or unique("reader"), commit=commit,
                         isolation=isolation, wait_ms=int(wait * 1000))
        return [(_bytes(row["key"]), _bytes(row["value"]), [(n, _bytes(v)) for n, v in row["headers"]], row["timestamp"])
                for row in rows]

    def two_members(self, bootstrap, topic, group, partitions=4, **how):
        owned = self._ask("two_members", bootstrap, topic=topic, group=group, partitions=partitions, **how)
        return [set(partitions) for partitions in owned]

    def dying_member(self, bootstrap, topic, group):
        """A member in another process; it reads on until it is killed."""
        other = type(self).__new__(type(self))
        other.__dict__ |= self.__dict__ | {"process": None}
        other._send("consume", bootstrap, topic=topic, count=1 << 30, group=group, isolation="read_uncommitted",
                    wait_ms=int(4 * TIMEOUT * 1000))
        other.kill = other.close
        return other

    def transform(self, bootstrap, source, sink, group, transactional_id, count):
        self._ask("transform", bootstrap, source=source, sink=sink, group=group, transactional_id=transactional_id,
                  count=count)

    def share(self, bootstrap, topic, group, count, wait=TIMEOUT, hold=False):
        return [tuple(row) for row in self._ask("share", bootstrap, topic=topic, group=group, count=count,
                                                wait_ms=int(wait * 1000), hold=hold)]

    def set_group_config(self, bootstrap, group, configs):
        self._ask("set_group_config", bootstrap, group=group, configs=configs)

    def fence(self, bootstrap, topic, transactional_id):
        return self._ask("fence", bootstrap, topic=topic, transactional_id=transactional_id)

    def close(self):
        """Ends the process; the next request starts another."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _send(self, operation, bootstrap, **more):
        if self.process is None:
            self._start()
        request = {"op": operation, "bootstrap": bootstrap, "security": getattr(bootstrap, "security", None), **more}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def _ask(self, operation, bootstrap=None, **more):
        self._send(operation, bootstrap, **more)
        try:
            line = self.answers.get(timeout=4 * TIMEOUT)
        except queue.Empty:
            self.close()
            raise AssertionError(f"{self.name} did not answer {operation} within {4 * TIMEOUT:.0f} s") from None
        if line is None:
            code = self.process.wait()
            self.process = None
            raise AssertionError(f"{self.name} ended with exit code {code} during {operation}")
        answer = json.loads(line)
        if "error" in answer:
            raise AssertionError(f"{self.name}, {operation}: {answer['error']}")
        return answer["ok"]

    def _start(self):
        os.makedirs(self.build_dir, exist_ok=True)
        log = open(os.path.join(self.build_dir, "stderr.log"), "ab")
        self.process = subprocess.Popen(self.build(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                                        cwd=self.build_dir)
        self.answers = queue.Queue()
        threading.Thread(target=self._read, args=(self.process.stdout, self.answers), daemon=True).start()

    @staticmethod
    def _read(stdout, answers):
        for line in stdout:
            answers.put(line)
        answers.put(None)

    def _copy(self, folder):
        source = os.path.join(HERE, folder)
        for name in os.listdir(source):
            if os.path.isfile(os.path.join(source, name)):
                shutil.copy(os.path.join(source, name), self.build_dir)


class KafkaJs(Agent):
    """KafkaJS, on Node."""

    name = "kafkajs"
    # Its LZ4 and zstd codecs are the user's own choice; see agents/kafkajs/agent.js for those used here.

    def build(self):
        self._copy("kafkajs")
        subprocess.run(["npm", "install", "--silent", "--no-fund", "--no-audit"], cwd=self.build_dir, check=True,
                       stdout=subprocess.DEVNULL)
        return ["node", "agent.js"]


class Platformatic(Agent):
    """@platformatic/kafka, on Node."""

    name = "platformatic-kafka"
    # It takes zstd from Node, which has it from 22.15 on.
    codecs = [codec for codec in CODECS if codec != "zstd"]
    can = Agent.can | {"static", "consumer protocol"}

    def build(self):
        self._copy("platformatic")
        subprocess.run(["npm", "install", "--silent", "--no-fund", "--no-audit"], cwd=self.build_dir, check=True,
                       stdout=subprocess.DEVNULL)
        return ["node", "agent.mjs"]


class FranzGo(Agent):
    """franz-go."""

    name = "franz-go"
    can = Agent.can | {"cooperative", "static"}

    def build(self):
        self._copy("franz-go")
        subprocess.run(["go", "build", "-o", "agent", "."], cwd=self.build_dir, check=True)
        return [os.path.join(self.build_dir, "agent")]


class Java(Agent):
    """Apache Kafka's own clients."""

    name = "java"
    can = Agent.can | {"cooperative", "static", "consumer protocol", "fence", "transaction time-out", "share"}

    def __init__(self, build_dir, script):
        super().__init__(build_dir)
        self.script = script

    def build(self):
        self._copy("java")
        classes = subprocess.run([self.script, "classpath"], check=True, capture_output=True, text=True).stdout.strip()
        subprocess.run(["javac", "-d", ".", "-cp", classes, "Agent.java"], cwd=self.build_dir, check=True)
        return ["java", "-Xmx512m", "-cp", f"{classes}:{self.build_dir}", "Agent"]
