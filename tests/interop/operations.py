"""More of Apache Kafka's own command-line tools (tools.py): those an operator reaches for when something is to be guarded,
looked into or mended, and those that stand in for applications.
"""

import json
import re
import tempfile

from brokers import segments
from cases import BASE, QUIET, same
from clients import unique
from jobs import until
from secured import refused
from tools import client, file, filled, holds, made, read, rows


def _login(bootstrap):
    """A file of settings with which a tool comes in as a user of a secured broker."""
    how = bootstrap.security
    module = "plain.Plain" if how["mechanism"] == "PLAIN" else "scram.Scram"
    jaas = f'org.apache.kafka.common.security.{module}LoginModule required username="{how["user"]}" password="{how["password"]}";'
    settings = {"security.protocol": how["protocol"], "ssl.truststore.type": "PEM", "ssl.truststore.location": how["ca"],
                "sasl.mechanism": how["mechanism"], "sasl.jaas.config": jaas}
    return file("".join(f"{name}={value}\n" for name, value in settings.items()), ".properties")


def _works(act):
    try:
        act()
        return True
    except Exception:
        return False


def acls(tools, broker):
    """kafka-acls adds, lists and removes rules, and a client is held to them."""
    secured = broker.secured
    topic, group, sent = secured.topic("ruled"), unique("ruled-group"), rows(0, 5)
    as_bob, login = secured.plain("bob"), _login(secured.plain("admin"))

    def run(*arguments):
        return tools.at(secured.broker, "kafka-acls", "--command-config", login, *arguments)

    def write():
        client.produce(as_bob, topic, sent)

    def reads():
        got = []
        return _works(lambda: got.extend(client.consume(as_bob, topic, 1, group, wait=QUIET))) and bool(got)

    refused("writing before there is a rule", write)
    holds(run("--add", "--allow-principal", "User:bob", "--producer", "--topic", topic), f"Adding ACLs for resource .*{topic}")
    until("bob may write", lambda: _works(write))
    assert not reads(), "bob reads before there is a rule"
    run("--add", "--allow-principal", "User:bob", "--consumer", "--topic", topic, "--group", group)
    until("bob may read", reads)
    listed = run("--list", "--principal", "User:bob", "--topic", topic)
    holds(listed, *(f"principal=User:bob, host=\\*, operation={operation}, permissionType=ALLOW"
                    for operation in ("WRITE", "READ", "DESCRIBE", "CREATE")))
    # Of the rules that fit a name, one that denies is stronger than all that allow.
    run("--add", "--deny-principal", "User:bob", "--operation", "Read", "--topic", topic[:-2], "--resource-pattern-type",
        "prefixed")
    until("bob may no longer read", lambda: not reads())
    holds(run("--list", "--topic", topic, "--resource-pattern-type", "match"), rf"name={topic[:-2]}, patternType=PREFIXED",
          rf"name={topic}, patternType=LITERAL", "operation=READ, permissionType=DENY")
    run("--remove", "--force", "--topic", topic, "--group", group, "--resource-pattern-type", "match")
    until("bob may no longer write", lambda: not _works(write))
    left = run("--list")
    assert topic[:-2] not in left and group not in left, f"rules are left: {left}"


def users(tools, broker):
    """kafka-configs makes a SCRAM user with a quota, who can log in, and takes the user away."""
    secured, name, secret = broker.secured, unique("user"), "secret-of-hers"
    login, who = _login(secured.plain("admin")), ("--entity-type", "users", "--entity-name", name)

    def run(*arguments):
        return tools.at(secured.broker, "kafka-configs", "--command-config", login, *arguments)

    def logs_in():
        admin = client._admin(secured.sasl("SCRAM-SHA-512", name, secret))
        return _works(lambda: admin.list_topics(timeout=QUIET))

    run("--alter", *who, "--add-config", f"SCRAM-SHA-512=[iterations=4096,password={secret}]")
    run("--alter", *who, "--add-config", "consumer_byte_rate=1048576")
    holds(run("--describe", *who), rf"Quota configs for user-principal '{name}' are consumer_byte_rate=1048576",
          rf"SCRAM credential configs for user-principal '{name}' are SCRAM-SHA-512=iterations=4096")
    until("the new user logs in", logs_in)
    run("--alter", *who, "--delete-config", "SCRAM-SHA-512")
    until("the user is gone", lambda: not logs_in())


def delegation_tokens(tools, broker):
    """kafka-delegation-tokens is told that strangers get none, and that there are none for others either."""
    create = ("--create", "--max-life-time-period", "-1", "--renewer-principal", "User:bob")
    holds(tools.java("DelegationTokenCommand", "--bootstrap-server", broker.bootstrap, "--command-config",
                     file("", ".properties"), *create, fails=True), "Delegation Token requests are not allowed on PLAINTEXT")
    alice = broker.secured.scram("alice")
    holds(tools.java("DelegationTokenCommand", "--bootstrap-server", alice, "--command-config", _login(alice), *create,
                     fails=True), "Delegation Token feature is not enabled")


def hanging_transactions(tools, broker):
    """kafka-transactions finds a transaction that its coordinator has lost, and aborts it."""
    topic, after = made(broker), rows(100, 5)
    client.produce(broker.bootstrap, topic, rows(0, 5), transaction="leave open", transactional_id=unique("txn"))
    broker.forget("__transaction_state")

    def find():
        return tools.at(broker, "kafka-transactions", "find-hanging", "--topic", topic, "--max-transaction-timeout", "15")

    holds(find(), rf"{topic}\s+0\s+\d+\s+\d+\s+-1\s+0\s+{BASE + 4000}\s+\d+")
    client.produce(broker.bootstrap, topic, after)
    held = client.consume(broker.bootstrap, topic, 1, isolation="read_committed", wait=QUIET)
    assert not held, f"read past an open transaction: {held}"
    tools.at(broker, "kafka-transactions", "abort", "--topic", topic, "--partition", "0", "--start-offset", "0")
    assert topic not in find()
    same(client, after, client.consume(broker.bootstrap, topic, len(after), isolation="read_committed"))


def dump_log(tools, broker):
    """kafka-dump-log reads the broker's files: records, indexes, metadata, offsets, transactions."""
    topic, group, name = unique("dumped"), unique("group"), unique("txn")
    # Enough for a segment that is full, and whose indexes are on the disk.
    client.create_topic(broker.bootstrap, topic, 1, {"segment.bytes": str(1 << 20)})
    for batch in range(20):
        values = [(key, value + b"." * 4000, headers, time) for key, value, headers, time in rows(20 * batch, 20)]
        client.produce(broker.bootstrap, topic, values, transaction="commit", transactional_id=name)
    read(broker, topic, group, 400)

    def dump(files, *how):
        # To the tool every segment but the first begins with a gap, after offset -1.
        out = tools.run("kafka-dump-log", "--print-data-log", *how, "--files", ",".join(files))
        wrong = re.search(r"(?i)isvalid: false|mismatch|(?<!-)\b\d+ is followed by|could not|not found|invalid bytes", out)
        assert not wrong, f"{files[0]}: {wrong[0]}"
        return out

    files = segments(broker, topic) + segments(broker, topic, "index") + segments(broker, topic, "timeindex")
    holds(dump(files), r"offset: 0 .* key: key0 payload: value0\.", r"key: key399 payload: value399\.", "endTxnMarker: COMMIT",
          r"(?m)^offset: \d+ position: \d+", r"(?m)^timestamp: \d+ offset: \d+")
    holds(dump(segments(broker, "__cluster_metadata"), "--cluster-metadata-decoder"),
          rf'"type":"TOPIC_RECORD","version":0,"data":{{"name":"{topic}"')
    holds(dump(segments(broker, "__consumer_offsets"), "--offsets-decoder"),
          rf'"group":"{group}","topic":"{topic}","partition":0')
    holds(dump(segments(broker, "__transaction_state"), "--transaction-log-decoder"), rf'"transactionalId":"{name}"')


def replica_verification(tools, broker):
    """kafka-replica-verification reads as a replica does, and finds no lag."""
    topic = filled(broker)
    tools.watch("kafka-replica-verification", "--broker-list", broker.bootstrap, "--topics-include", topic, "--time", "-2",
                "--report-interval-ms", "200", until=rf"max lag is 0 for partition {topic}-0")


def share_consumers(tools, broker):
    """kafka-verifiable-share-consumer acknowledges records, and kafka-share-consumer-perf-test gets the others."""
    topic, group, batches = made(broker), unique("share"), 6
    for batch in range(batches):
        client.produce(broker.bootstrap, topic, rows(500 * batch, 500))
    out = tools.java("VerifiableShareConsumer", "--bootstrap-server", broker.bootstrap, "--topic", topic, "--group-id", group,
                     "--max-messages", "500", "--acknowledgement-mode", "sync", "--offset-reset-strategy", "earliest")
    events = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    acknowledged = sum(event["count"] for event in events if event["name"] == "offsets_acknowledged" and event["success"])
    left = 500 * batches - acknowledged
    assert acknowledged >= 500 and left > 0, f"{acknowledged} records acknowledged"
    holds(tools.at(broker, "kafka-share-consumer-perf-test", "--topic", topic, "--group", group, "--num-records", str(left),
                   "--timeout", "30000"), rf"(?m), {left}, \d+$")


def streams_groups(tools, broker):
    """kafka-streams-groups lists, describes, resets and deletes."""
    source, sink = made(broker, 2), made(broker)
    client.produce(broker.bootstrap, source, [(b"key%d" % i, b"the river runs", [], BASE + i) for i in range(20)])
    group = unique("streams-group")

    def run(*arguments):
        return tools.at(broker, "kafka-streams-groups", *arguments)

    with tempfile.TemporaryDirectory() as state:
        job = tools.streams.start(broker, "words", group, state, sink, source, group_protocol="streams").running()
        client.consume(broker.bootstrap, sink, 60)
        holds(run("--describe", "--members", "--group", group), rf"(?m)^{group}\s+\S+\s+\S+\s+{group}-", r"ACTIVE: \S*0:\[0,1\]")
        holds(run("--describe", "--group", group), rf"(?m)^{group}\s+{source}\s+[01]\s")
        job.close()
    holds(run("--list", "--state"), rf"(?m)^{group}\s+Empty")
    holds(run("--reset-offsets", "--to-earliest", "--execute", "--group", group, "--input-topic", source), rf"{source}\s+\d\s+0")
    holds(run("--delete", "--group", group), "was successful")


def streams_application_reset(tools, broker):
    """kafka-streams-application-reset sets an application's group to the beginning of its input."""
    topic, group = filled(broker), unique("application")
    read(broker, topic, group)
    tools.at(broker, "kafka-streams-application-reset", "--application-id", group, "--input-topics", topic)
    same(client, rows(0, 10), client.consume(broker.bootstrap, topic, 10, group))


CASES = [acls, users, delegation_tokens, share_consumers, streams_groups, streams_application_reset, replica_verification,
         dump_log, hanging_transactions]
