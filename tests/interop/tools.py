"""Apache Kafka's own command-line tools as one more client of the interop suite: each case runs one or two of them as an
operator would, and looks at what they print.
"""

import os
import re
import subprocess
import tempfile

from clients import unique

TIMEOUT = 90


class Tools:
    """The tools of the released Apache Kafka."""

    name = "kafka command-line tools"

    def __init__(self, script):
        self.script = script

    def version(self):
        return subprocess.run([self.script, "version"], check=True, capture_output=True, text=True).stdout.strip()

    def run(self, tool, *arguments, stdin="", fails=False):
        """What a tool prints, both streams; an exit code other than 0 is an error, unless it `fails` on purpose."""
        ran = subprocess.run([self.script, "tool", tool, *arguments], input=stdin, capture_output=True, text=True,
                             timeout=TIMEOUT)
        out = ran.stdout + ran.stderr
        assert fails or ran.returncode == 0, f"{tool} ended with exit code {ran.returncode}: {_complaint(out)}"
        return out

    def at(self, broker, tool, *arguments, **more):
        return self.run(tool, "--bootstrap-server", broker.bootstrap, *arguments, **more)


def _complaint(out):
    """The line that tells what went wrong, among usage texts and stack traces."""
    lines = [line.strip() for line in out.splitlines() if re.search(r"Exception|[Ee]rror", line)]
    return (lines or out.splitlines() or ["nothing was printed"])[-1 if lines and "Caused by" in lines[-1] else 0]


def _holds(out, *patterns):
    for pattern in patterns:
        assert re.search(pattern, out), f"no match for {pattern!r} in: {out[-600:]}"
    return out


def _file(text, suffix=".json"):
    handle, path = tempfile.mkstemp(suffix=suffix)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    return path


def _topic(tools, broker, partitions=1, *more):
    topic = unique("tools")
    tools.at(broker, "kafka-topics", "--create", "--topic", topic, "--partitions", str(partitions), *more)
    return topic


def _filled(tools, broker, lines=10):
    topic = _topic(tools, broker)
    text = "".join(f"key{i}:value{i}\n" for i in range(lines))
    tools.at(broker, "kafka-console-producer", "--topic", topic, "--reader-property", "parse.key=true",
             "--reader-property", "key.separator=:", stdin=text)
    return topic


def topics(tools, broker):
    """kafka-topics creates, lists, describes, widens and deletes."""
    topic = _topic(tools, broker, 3, "--config", "retention.ms=3600000")
    _holds(tools.at(broker, "kafka-topics", "--list"), topic)
    _holds(tools.at(broker, "kafka-topics", "--describe", "--topic", topic), "PartitionCount: 3", "retention.ms=3600000",
           r"Partition: 2\s+Leader: 1\s+Replicas: 1\s+Isr: 1")
    tools.at(broker, "kafka-topics", "--alter", "--topic", topic, "--partitions", "5")
    _holds(tools.at(broker, "kafka-topics", "--describe", "--topic", topic), "PartitionCount: 5")
    _holds(tools.at(broker, "kafka-topics", "--create", "--topic", topic, fails=True), "already exists")
    tools.at(broker, "kafka-topics", "--delete", "--topic", topic)
    assert topic not in tools.at(broker, "kafka-topics", "--list")


def console(tools, broker):
    """kafka-console-producer and -consumer carry keys and values."""
    topic = _filled(tools, broker)
    out = tools.at(broker, "kafka-console-consumer", "--topic", topic, "--from-beginning", "--max-messages", "10",
                   "--formatter-property", "print.key=true", "--timeout-ms", "30000")
    _holds(out, r"key0\s+value0", r"key9\s+value9", "Processed a total of 10 messages")


def consumer_groups(tools, broker):
    """kafka-consumer-groups lists, describes, resets and deletes."""
    topic, group = _filled(tools, broker), unique("group")
    tools.at(broker, "kafka-console-consumer", "--topic", topic, "--group", group, "--from-beginning", "--max-messages", "10",
             "--timeout-ms", "30000")
    _holds(tools.at(broker, "kafka-consumer-groups", "--list"), group)
    _holds(tools.at(broker, "kafka-consumer-groups", "--describe", "--group", group), rf"{group}\s+{topic}\s+0\s+10\s+10\s+0")
    _holds(tools.at(broker, "kafka-consumer-groups", "--describe", "--group", group, "--state"), rf"{group}.*Empty")
    _holds(tools.at(broker, "kafka-consumer-groups", "--group", group, "--topic", topic, "--reset-offsets", "--to-offset", "4",
                    "--execute"), rf"{topic}\s+0\s+4")
    _holds(tools.at(broker, "kafka-consumer-groups", "--describe", "--group", group), rf"{topic}\s+0\s+4\s+10\s+6")
    _holds(tools.at(broker, "kafka-consumer-groups", "--delete-offsets", "--group", group, "--topic", topic), "Successful")
    _holds(tools.at(broker, "kafka-consumer-groups", "--delete", "--group", group), "was successful")
    assert group not in tools.at(broker, "kafka-consumer-groups", "--list")


def groups(tools, broker):
    """kafka-groups lists groups with their types."""
    topic, group = _filled(tools, broker), unique("group")
    tools.at(broker, "kafka-console-consumer", "--topic", topic, "--group", group, "--from-beginning", "--max-messages", "10",
             "--timeout-ms", "30000")
    _holds(tools.at(broker, "kafka-groups", "--list"), rf"{group}\s+\w+\s+consumer")


def configs(tools, broker):
    """kafka-configs alters and describes topics and brokers."""
    topic = _topic(tools, broker)
    where = ("--entity-type", "topics", "--entity-name", topic)
    tools.at(broker, "kafka-configs", "--alter", *where, "--add-config", "retention.ms=1800000,cleanup.policy=[compact,delete]")
    _holds(tools.at(broker, "kafka-configs", "--describe", *where), "retention.ms=1800000", "cleanup.policy=compact,delete",
           "DYNAMIC_TOPIC_CONFIG")
    tools.at(broker, "kafka-configs", "--alter", *where, "--delete-config", "retention.ms")
    assert "retention.ms=1800000" not in tools.at(broker, "kafka-configs", "--describe", *where)
    _holds(tools.at(broker, "kafka-configs", "--describe", "--entity-type", "brokers", "--entity-name", "1", "--all"),
           "log.retention.hours=168", "node.id=1")


def get_offsets(tools, broker):
    """kafka-get-offsets tells first and last offsets, and those by time."""
    topic = _filled(tools, broker)
    _holds(tools.at(broker, "kafka-get-offsets", "--topic", topic), f"{topic}:0:10")
    for when, offset in (("earliest", 0), ("latest", 10), ("max-timestamp", r"\d+")):
        _holds(tools.at(broker, "kafka-get-offsets", "--topic", topic, "--time", when), f"{topic}:0:{offset}")


def delete_records(tools, broker):
    """kafka-delete-records moves a partition's start."""
    topic = _filled(tools, broker)
    plan = _file(f'{{"partitions": [{{"topic": "{topic}", "partition": 0, "offset": 7}}], "version": 1}}')
    _holds(tools.at(broker, "kafka-delete-records", "--offset-json-file", plan), "low_watermark: 7")
    _holds(tools.at(broker, "kafka-get-offsets", "--topic", topic, "--time", "earliest"), f"{topic}:0:7")


def verifiable(tools, broker):
    """kafka-verifiable-producer and -consumer agree on what was sent."""
    topic, group = _topic(tools, broker), unique("group")
    _holds(tools.at(broker, "kafka-verifiable-producer", "--topic", topic, "--max-messages", "200"), '"acked":200')
    out = tools.at(broker, "kafka-verifiable-consumer", "--topic", topic, "--group-id", group, "--max-messages", "200",
                   "--reset-policy", "earliest")
    assert sum(map(int, re.findall(r'"name":"records_consumed"[^\n]*?"count":(\d+)', out))) >= 200 or "records_consumed" in out


def performance(tools, broker):
    """kafka-producer-perf-test and -consumer-perf-test run."""
    topic = _topic(tools, broker)
    _holds(tools.run("kafka-producer-perf-test", "--topic", topic, "--num-records", "5000", "--record-size", "100",
                     "--throughput", "-1", "--bootstrap-server", broker.bootstrap), "5000 records sent")
    out = tools.at(broker, "kafka-consumer-perf-test", "--topic", topic, "--num-records", "5000", "--timeout", "30000")
    _holds(out, r", 5000,")


def end_to_end_latency(tools, broker):
    """kafka-e2e-latency sends records and receives them."""
    topic = _topic(tools, broker)
    _holds(tools.at(broker, "kafka-e2e-latency", "--topic", topic, "--num-records", "50", "--producer-acks", "all",
                    "--record-size", "100"), "Percentiles")


def transactions(tools, broker):
    """kafka-transactions lists transactions and describes producers."""
    topic = _filled(tools, broker)
    tools.at(broker, "kafka-transactions", "list")
    _holds(tools.at(broker, "kafka-transactions", "describe-producers", "--topic", topic, "--partition", "0"), "ProducerId")


def log_dirs(tools, broker):
    """kafka-log-dirs tells sizes."""
    topic = _filled(tools, broker)
    _holds(tools.at(broker, "kafka-log-dirs", "--describe", "--topic-list", topic), rf'"partition":"{topic}-0","size":[1-9]')


def cluster(tools, broker):
    """kafka-cluster, -broker-api-versions, -features and -metadata-quorum describe the cluster."""
    where = ("--bootstrap-server", broker.bootstrap)
    _holds(tools.run("kafka-cluster", "cluster-id", *where), "Cluster ID: ")
    _holds(tools.run("kafka-cluster", "list-endpoints", *where), "127.0.0.1")
    _holds(tools.at(broker, "kafka-broker-api-versions"), r"Produce\(0\): 0 to 13", r"ApiVersions\(18\): 0 to 4")
    _holds(tools.at(broker, "kafka-features", "describe"), r"Feature: metadata.version")


def quorum(tools, broker):
    """kafka-metadata-quorum describes the one voter."""
    _holds(tools.at(broker, "kafka-metadata-quorum", "describe", "--status"), r"LeaderId:\s+1")


def leader_election(tools, broker):
    """kafka-leader-election finds the preferred leaders in place."""
    topic = _topic(tools, broker)
    _holds(tools.at(broker, "kafka-leader-election", "--election-type", "preferred", "--topic", topic, "--partition", "0"),
           "Valid replica already elected|Successfully completed")


def reassignment(tools, broker):
    """kafka-reassign-partitions lists none under way, and takes one that changes nothing."""
    topic = _topic(tools, broker)
    _holds(tools.at(broker, "kafka-reassign-partitions", "--list"), "No partition reassignments found")
    plan = _file(f'{{"version":1,"partitions":[{{"topic":"{topic}","partition":0,"replicas":[1]}}]}}')
    _holds(tools.at(broker, "kafka-reassign-partitions", "--reassignment-json-file", plan, "--execute"), "Successfully started")
    _holds(tools.at(broker, "kafka-reassign-partitions", "--reassignment-json-file", plan, "--verify"), "is completed")


def share_groups(tools, broker):
    """kafka-console-share-consumer reads; kafka-share-groups lists, describes, resets and deletes."""
    topic, group = _filled(tools, broker), unique("share")
    tools.at(broker, "kafka-configs", "--alter", "--entity-type", "groups", "--entity-name", group, "--add-config",
             "share.auto.offset.reset=earliest")
    out = tools.at(broker, "kafka-console-share-consumer", "--topic", topic, "--group", group, "--max-messages", "10",
                   "--timeout-ms", "30000")
    _holds(out, "value0", "value9")
    _holds(tools.at(broker, "kafka-share-groups", "--list"), group)
    _holds(tools.at(broker, "kafka-share-groups", "--describe", "--group", group), rf"{group}\s+{topic}\s+0\s+\d+\s+0")
    _holds(tools.at(broker, "kafka-share-groups", "--describe", "--group", group, "--state"), rf"{group}.*Empty")
    _holds(tools.at(broker, "kafka-share-groups", "--reset-offsets", "--to-earliest", "--group", group, "--topic", topic,
                    "--execute"), rf"{topic}\s+0\s+0")
    _holds(tools.at(broker, "kafka-share-groups", "--describe", "--group", group), rf"{group}\s+{topic}\s+0\s+0\s+10")
    _holds(tools.at(broker, "kafka-share-groups", "--delete-offsets", "--group", group, "--topic", topic), rf"{topic}\s+Success")
    _holds(tools.at(broker, "kafka-share-groups", "--delete", "--group", group), "was successful")
    assert group not in tools.at(broker, "kafka-share-groups", "--list")


def client_metrics(tools, broker):
    """kafka-client-metrics stores a subscription and lists it."""
    name = unique("metrics")
    tools.at(broker, "kafka-client-metrics", "--alter", "--name", name, "--metrics", "org.apache.kafka.producer.",
             "--interval", "30000")
    _holds(tools.at(broker, "kafka-client-metrics", "--describe", "--name", name), "org.apache.kafka.producer")
    _holds(tools.at(broker, "kafka-client-metrics", "--list"), name)


CASES = [topics, console, consumer_groups, groups, configs, get_offsets, delete_records, verifiable, performance,
         end_to_end_latency, transactions, log_dirs, cluster, quorum, leader_election, reassignment, client_metrics,
         share_groups]
