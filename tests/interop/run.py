#!/usr/bin/env python3
"""Runs every foreign client's cases against a broker and prints a line per case.

    run.py riverrun PATH-TO-RIVERRUN --apache-kafka SCRIPT --build DIR [--only SUBSTRING] [--results FILE]
    run.py kafka    SCRIPT           --apache-kafka SCRIPT --build DIR [--only SUBSTRING] [--results FILE]

SCRIPT is the one that runs Apache Kafka: it also has the classes of the Java client. DIR is where clients that need
building are built. The last line reads `N passed, N failed`; the exit code is 1 if a case failed, unless the results go
to a file for the conformance page to show.
"""

import argparse
import json
import subprocess
import sys
import time
import traceback

import agents
import compacted
import crash
import jobs
import operations
import secured
import tools
from brokers import ApacheKafka, Riverrun
from cases import cases
from clients import CLIENTS, unique


class Shared:
    """A broker, with the topics that each client has written for all others to read."""

    def __init__(self, broker):
        self.broker, self.topics, self._secured, self._compacted = broker, {}, None, None

    @property
    def secured(self):
        """The same broker with security on, which starts with the first case that wants it."""
        if self._secured is None:
            self._secured = secured.Secured(self.broker)
        return self._secured

    def stop(self):
        self.broker.stop()
        if self._secured is not None:
            self._secured.stop()

    def __getattr__(self, name):
        return getattr(self.broker, name)

    def compacted(self):
        """A topic that was compacted, and the keys and values that are left in it."""
        if self._compacted is None:
            self._compacted = compacted.topic(self.bootstrap)
        return self._compacted

    def written_by(self, client, sent):
        if client.name not in self.topics:
            topic = unique(f"from-{client.name}")
            client.produce(self.bootstrap, topic, sent, "gzip")
            self.topics[client.name] = topic
        return self.topics[client.name]


def reason(error):
    """The first line of what went wrong, without what differs from run to run."""
    if isinstance(error, subprocess.CalledProcessError):
        return f"{error.cmd[0]} ended with exit code {error.returncode}"
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def run(options):
    broker = Shared((Riverrun if options.kind == "riverrun" else ApacheKafka)(options.program))
    clients = [*CLIENTS, agents.KafkaJs(options.build), agents.Platformatic(options.build), agents.FranzGo(options.build),
               agents.Java(options.build, options.apache_kafka)]
    suites = [(client, cases(client, clients, secured.CASES)) for client in clients]
    streams = jobs.Streams(options.build, options.apache_kafka)
    suites.append((tools.Tools(options.apache_kafka, streams), tools.CASES + operations.CASES))
    suites.append((streams, jobs.STREAMS_CASES))
    suites.append((jobs.Connect(options.build, options.apache_kafka), jobs.CONNECT_CASES))
    suites.append((crash.Crash(), crash.CASES))
    results = []
    broker.start()
    try:
        for client, client_cases in suites:
            version = client.version()
            print(f"== {client.name} {version} against {broker.name}", flush=True)
            for case in client_cases:
                name = case.__name__.replace("_", " ")
                label = f"{client.name}: {name}"
                if options.only not in label:
                    continue
                began, failure = time.monotonic(), None
                try:
                    case(client, broker)
                    print(f"ok    {label} ({time.monotonic() - began:.1f} s)", flush=True)
                except Exception as error:
                    failure = reason(error)
                    print(f"FAIL  {label}\n{traceback.format_exc()}", flush=True)
                results.append({"client": client.name, "version": version, "case": name, "failure": failure})
    finally:
        broker.stop()
        for client in clients:
            getattr(client, "close", lambda: None)()
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["riverrun", "kafka"])
    parser.add_argument("program")
    parser.add_argument("--apache-kafka", required=True)
    parser.add_argument("--build", required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--results")
    options = parser.parse_args()
    results = run(options)
    failed = sum(result["failure"] is not None for result in results)
    print(f"interop: {len(results) - failed} passed, {failed} failed")
    if options.results:
        with open(options.results, "w") as file:
            json.dump(results, file, indent=1)
    sys.exit(1 if failed and not options.results else 0)


if __name__ == "__main__":
    main()
