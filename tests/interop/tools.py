"""Apache Kafka's own command-line tools as one more client of the interop suite: each case runs one or two of them as an
operator would, and looks at what they print. What is only the ground for that, such as a topic with records, another
client makes, since each start of a tool takes about two seconds. More of them are in operations.py.
"""

import json
import os
import re
import subprocess
import tempfile
import threading

from cases import BASE
from clients import Confluent, unique

TIMEOUT = 90
#: For programs that end before a thorough compiler earns back what it costs.
BRIEF = "-Xmx512m -XX:TieredStopAtLevel=1"
client = Confluent()


class Tools:
    """The tools of the released Apache Kafka."""

    name = "kafka command-line tools"

    def __init__(self, script, streams):
        self.script, self.streams = script, streams

    def version(self):
        return subprocess.run([self.script, "version"], check=True, capture_output=True, text=True).stdout.strip()

    def run(self, tool, *arguments, stdin="", fails=False):
        """What a tool prints, both streams; an exit code other than 0 is an error, or the lack of it where it must fail."""
        return _ran(tool, [self.script, "tool", tool, *arguments], stdin, fails)

    def at(self, broker, tool, *arguments, **more):
        return self.run(tool, "--bootstrap-server", broker.bootstrap, *arguments, **more)

    def java(self, name, *arguments, fails=False):
        """The same of a tool that the script has no name for."""
        classes = subprocess.run([self.script, "classpath"], check=True, capture_output=True, text=True).stdout.strip()
        return _ran(name, ["java", *BRIEF.split(), "-cp", classes, f"org.apache.kafka.tools.{name}", *arguments], "", fails)

    def watch(self, tool, *arguments, until):
        """The first line that matches `until` of a tool that does not end by itself; then it is ended."""
        process = subprocess.Popen([self.script, "tool", tool, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   text=True, env=_environment())
        limit = threading.Timer(TIMEOUT, process.kill)
        limit.start()
        seen = []
        try:
            for line in process.stdout:
                seen.append(line)
                if re.search(until, line):
                    return line
        finally:
            limit.cancel()
            process.terminate()
            process.communicate()
        raise AssertionError(f"{tool} never printed {until!r}: {_complaint(''.join(seen))}")


def _environment():
    return {**os.environ, "KAFKA_HEAP_OPTS": BRIEF}


def _ran(tool, command, stdin, fails):
    ran = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=TIMEOUT, env=_environment())
    out = ran.stdout + ran.stderr
    assert fails == (ran.returncode != 0), f"{tool} ended with exit code {ran.returncode}: {_complaint(out)}"
    return out


def _complaint(out):
    """The line that tells what went wrong, among usage texts and stack traces."""
    lines = [line.strip() for line in out.splitlines() if re.search(r"Exception|[Ee]rror", line)]
    return (lines or out.splitlines() or ["nothing was printed"])[-1 if lines and "Caused by" in lines[-1] else 0]


def holds(out, *patterns):
    for pattern in patterns:
        assert re.search(pattern, out), f"no match for {pattern!r} in: {out[-600:]}"
    return out


def file(text, suffix=".json"):
    handle, path = tempfile.mkstemp(suffix=suffix)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    return path


def made(broker, partitions=1):
    """A topic."""
    topic = unique("tools")
    client.create_topic(broker.bootstrap, topic, partitions)
    return topic


def rows(first, count):
    """Numbered records, a second apart."""
    return [(b"key%d" % i, b"value%d" % i, [], BASE + 1000 * i) for i in range(first, first + count)]


def filled(broker, count=10):
    """A topic with numbered records."""
    topic = made(broker)
    client.produce(broker.bootstrap, topic, rows(0, count))
    return topic


def read(broker, topic, group, count=10):
    """Has a group read and commit."""
    client.consume(broker.bootstrap, topic, count, group, commit=True)


def topics(tools, broker):
    """kafka-topics creates, lists, describes, widens and deletes."""
    topic = unique("tools")
    tools.at(broker, "kafka-topics", "--create", "--topic", topic, "--partitions", "3", "--config", "retention.ms=3600000")
    holds(tools.at(broker, "kafka-topics", "--list"), topic)
    holds(tools.at(broker, "kafka-topics", "--describe", "--topic", topic), "PartitionCount: 3", "retention.ms=3600000",
           r"Partition: 2\s+Leader: 1\s+Replicas: 1\s+Isr: 1")
    tools.at(broker, "kafka-topics", "--alter", "--topic", topic, "--partitions", "5")
    holds(tools.at(broker, "kafka-topics", "--describe", "--topic", topic), "PartitionCount: 5")
    holds(tools.at(broker, "kafka-topics", "--create", "--topic", topic, fails=True), "already exists")
    tools.at(broker, "kafka-topics", "--delete", "--topic", topic)
    assert topic not in tools.at(broker, "kafka-topics", "--list")


def console(tools, broker):
    """kafka-console-producer and -consumer carry keys and values; the latter reads from an offset on, too."""
    topic = made(broker)
    tools.at(broker, "kafka-console-producer", "--topic", topic, "--reader-property", "parse.key=true", "--reader-property",
             "key.separator=:", stdin="".join(f"key{i}:value{i}\n" for i in range(10)))
    out = tools.at(broker, "kafka-console-consumer", "--topic", topic, "--from-beginning", "--max-messages", "10",
                   "--formatter-property", "print.key=true", "--timeout-ms", "30000")
    holds(out, r"key0\s+value0", r"key9\s+value9", "Processed a total of 10 messages")
    out = tools.at(broker, "kafka-console-consumer", "--topic", topic, "--partition", "0", "--offset", "7", "--max-messages", "2",
                   "--isolation-level", "read_committed", "--formatter-property", "print.offset=true",
                   "--formatter-property", "print.headers=true", "--timeout-ms", "30000")
    holds(out, r"Offset:7\s+NO_HEADERS\s+value7", r"Offset:8\s+NO_HEADERS\s+value8", "Processed a total of 2 messages")


def consumer_groups(tools, broker):
    """kafka-consumer-groups lists, describes, resets and deletes."""
    topic, group = filled(broker), unique("group")
    tools.at(broker, "kafka-console-consumer", "--topic", topic, "--group", group, "--from-beginning", "--max-messages", "10",
             "--timeout-ms", "30000")
    holds(tools.at(broker, "kafka-consumer-groups", "--list"), group)
    holds(tools.at(broker, "kafka-consumer-groups", "--describe", "--group", group), rf"{group}\s+{topic}\s+0\s+10\s+10\s+0")
    holds(tools.at(broker, "kafka-consumer-groups", "--describe", "--group", group, "--state"), rf"{group}.*Empty")
    holds(tools.at(broker, "kafka-consumer-groups", "--group", group, "--topic", topic, "--reset-offsets", "--to-offset", "4",
                    "--execute"), rf"{topic}\s+0\s+4")
    holds(tools.at(broker, "kafka-consumer-groups", "--describe", "--group", group), rf"{topic}\s+0\s+4\s+10\s+6")
    holds(tools.at(broker, "kafka-consumer-groups", "--delete-offsets", "--group", group, "--topic", topic), "Successful")
    holds(tools.at(broker, "kafka-consumer-groups", "--delete", "--group", group), "was successful")
    assert group not in tools.at(broker, "kafka-consumer-groups", "--list")


def groups(tools, broker):
    """kafka-groups lists groups with their types."""
    topic, group = filled(broker), unique("group")
    read(broker, topic, group)
    holds(tools.at(broker, "kafka-groups", "--list"), rf"{group}\s+Classic\s+consumer")


def configs(tools, broker):
    """kafka-configs alters and describes topics and brokers."""
    topic = made(broker)
    where = ("--entity-type", "topics", "--entity-name", topic)
    tools.at(broker, "kafka-configs", "--alter", *where, "--add-config", "retention.ms=1800000,cleanup.policy=[compact,delete]")
    holds(tools.at(broker, "kafka-configs", "--describe", *where), "retention.ms=1800000", "cleanup.policy=compact,delete",
           "DYNAMIC_TOPIC_CONFIG")
    tools.at(broker, "kafka-configs", "--alter", *where, "--delete-config", "retention.ms")
    assert "retention.ms=1800000" not in tools.at(broker, "kafka-configs", "--describe", *where)
    holds(tools.at(broker, "kafka-configs", "--describe", "--entity-type", "brokers", "--entity-name", "1", "--all"),
           "log.retention.hours=168", "node.id=1")


def get_offsets(tools, broker):
    """kafka-get-offsets tells first and last offsets, and those by time; nothing is on a tier."""
    topic = filled(broker)
    holds(tools.at(broker, "kafka-get-offsets", "--topic", topic), f"{topic}:0:10")
    for when, offset in (("earliest", 0), ("latest", 10), ("max-timestamp", 9), ("earliest-local", 0), (str(BASE + 3500), 4)):
        holds(tools.at(broker, "kafka-get-offsets", "--topic", topic, "--time", when), rf"(?m)^{topic}:0:{offset}$")
    for when in ("latest-tiered", "earliest-pending-upload"):
        out = tools.at(broker, "kafka-get-offsets", "--topic", topic, "--time", when)
        assert topic not in out, f"{when}: {out}"


def delete_records(tools, broker):
    """kafka-delete-records moves a partition's start; -1 takes all that is there."""
    topic, emptied = filled(broker), filled(broker, 5)
    plan = [{"topic": topic, "partition": 0, "offset": 7}, {"topic": emptied, "partition": 0, "offset": -1}]
    plan = file(json.dumps({"partitions": plan, "version": 1}))
    holds(tools.at(broker, "kafka-delete-records", "--offset-json-file", plan), rf"{topic}-0\s+low_watermark: 7",
          rf"{emptied}-0\s+low_watermark: 5")
    holds(tools.at(broker, "kafka-get-offsets", "--topic", topic, "--time", "earliest"), f"{topic}:0:7")


def verifiable(tools, broker):
    """kafka-verifiable-producer and -consumer agree on what was sent."""
    topic, group = made(broker), unique("group")
    holds(tools.at(broker, "kafka-verifiable-producer", "--topic", topic, "--max-messages", "200"), '"acked":200')
    out = tools.at(broker, "kafka-verifiable-consumer", "--topic", topic, "--group-id", group, "--max-messages", "200",
                   "--reset-policy", "earliest")
    events = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    seen = sum(event["count"] for event in events if event["name"] == "records_consumed")
    assert seen == 200, f"{seen} records consumed"


def performance(tools, broker):
    """kafka-producer-perf-test and -consumer-perf-test run."""
    topic = made(broker)
    holds(tools.run("kafka-producer-perf-test", "--topic", topic, "--num-records", "5000", "--record-size", "100",
                     "--throughput", "-1", "--bootstrap-server", broker.bootstrap), "5000 records sent")
    out = tools.at(broker, "kafka-consumer-perf-test", "--topic", topic, "--num-records", "5000", "--timeout", "30000")
    holds(out, r", 5000,")


def end_to_end_latency(tools, broker):
    """kafka-e2e-latency sends records and receives them."""
    topic = made(broker)
    holds(tools.at(broker, "kafka-e2e-latency", "--topic", topic, "--num-records", "50", "--producer-acks", "all",
                    "--record-size", "100"), "Percentiles")


def transactions(tools, broker):
    """kafka-transactions lists and describes transactions, and the producers of a partition."""
    topic, name = made(broker), unique("txn")
    client.produce(broker.bootstrap, topic, rows(0, 3), transaction="leave open", transactional_id=name)
    listed = holds(tools.at(broker, "kafka-transactions", "list"), rf"{name}\s+1\s+\d+\s+Ongoing")
    producer = re.search(rf"{name}\s+1\s+(\d+)", listed)[1]
    holds(tools.at(broker, "kafka-transactions", "describe", "--transactional-id", name),
          rf"1\s+{name}\s+{producer}\s+\d+\s+Ongoing\s+60000\s+\d+\s+\d+\s+{topic}-0")
    holds(tools.at(broker, "kafka-transactions", "describe-producers", "--topic", topic, "--partition", "0"),
          rf"{producer}\s+\d+\s+-1\s+2\s+{BASE + 2000}\s+0\s")


def log_dirs(tools, broker):
    """kafka-log-dirs tells sizes."""
    topic = filled(broker)
    holds(tools.at(broker, "kafka-log-dirs", "--describe", "--topic-list", topic), rf'"partition":"{topic}-0","size":[1-9]')


def cluster(tools, broker):
    """kafka-cluster, -broker-api-versions, -features and -metadata-quorum describe the cluster."""
    where = ("--bootstrap-server", broker.bootstrap)
    holds(tools.run("kafka-cluster", "cluster-id", *where), "Cluster ID: ")
    holds(tools.run("kafka-cluster", "list-endpoints", *where), "127.0.0.1")
    holds(tools.at(broker, "kafka-broker-api-versions"), r"Produce\(0\): 0 to 13", r"ApiVersions\(18\): 0 to 4")
    holds(tools.at(broker, "kafka-features", "describe"), r"Feature: metadata.version")


def quorum(tools, broker):
    """kafka-metadata-quorum describes the one voter."""
    holds(tools.at(broker, "kafka-metadata-quorum", "describe", "--status"), r"LeaderId:\s+1")
    holds(tools.at(broker, "kafka-metadata-quorum", "describe", "--replication"), r"(?m)^1\s+\S+\s+\d+\s+0\s.*Leader")


def leader_election(tools, broker):
    """kafka-leader-election finds the preferred leaders in place."""
    topic = made(broker)
    holds(tools.at(broker, "kafka-leader-election", "--election-type", "preferred", "--topic", topic, "--partition", "0"),
           "Valid replica already elected|Successfully completed")


def reassignment(tools, broker):
    """kafka-reassign-partitions lists none under way, and takes one that changes nothing."""
    topic = made(broker)
    holds(tools.at(broker, "kafka-reassign-partitions", "--list"), "No partition reassignments found")
    plan = file(f'{{"version":1,"partitions":[{{"topic":"{topic}","partition":0,"replicas":[1]}}]}}')
    holds(tools.at(broker, "kafka-reassign-partitions", "--reassignment-json-file", plan, "--execute"), "Successfully started")
    holds(tools.at(broker, "kafka-reassign-partitions", "--reassignment-json-file", plan, "--verify"), "is completed")


def share_groups(tools, broker):
    """kafka-console-share-consumer reads; kafka-share-groups lists, describes, resets and deletes."""
    topic, group = filled(broker), unique("share")
    tools.at(broker, "kafka-configs", "--alter", "--entity-type", "groups", "--entity-name", group, "--add-config",
             "share.auto.offset.reset=earliest")
    out = tools.at(broker, "kafka-console-share-consumer", "--topic", topic, "--group", group, "--max-messages", "10",
                   "--timeout-ms", "30000")
    holds(out, "value0", "value9")
    holds(tools.at(broker, "kafka-share-groups", "--list"), group)
    holds(tools.at(broker, "kafka-share-groups", "--describe", "--group", group), rf"{group}\s+{topic}\s+0\s+\d+\s+0")
    holds(tools.at(broker, "kafka-share-groups", "--describe", "--group", group, "--state"), rf"{group}.*Empty")
    holds(tools.at(broker, "kafka-share-groups", "--reset-offsets", "--to-earliest", "--group", group, "--topic", topic,
                    "--execute"), rf"{topic}\s+0\s+0")
    holds(tools.at(broker, "kafka-share-groups", "--describe", "--group", group), rf"{group}\s+{topic}\s+0\s+0\s+10")
    holds(tools.at(broker, "kafka-share-groups", "--delete-offsets", "--group", group, "--topic", topic), rf"{topic}\s+Success")
    holds(tools.at(broker, "kafka-share-groups", "--delete", "--group", group), "was successful")
    assert group not in tools.at(broker, "kafka-share-groups", "--list")


def client_metrics(tools, broker):
    """kafka-client-metrics stores a subscription, lists and deletes it."""
    name = unique("metrics")
    tools.at(broker, "kafka-client-metrics", "--alter", "--name", name, "--metrics", "org.apache.kafka.producer.",
             "--interval", "30000")
    holds(tools.at(broker, "kafka-client-metrics", "--describe", "--name", name), "org.apache.kafka.producer")
    holds(tools.at(broker, "kafka-client-metrics", "--list"), name)
    tools.at(broker, "kafka-client-metrics", "--delete", "--name", name)
    assert "metrics=" not in tools.at(broker, "kafka-client-metrics", "--describe", "--name", name)


CASES = [topics, console, consumer_groups, groups, configs, get_offsets, delete_records, verifiable, performance,
         end_to_end_latency, transactions, log_dirs, cluster, quorum, leader_election, reassignment, client_metrics,
         share_groups]
