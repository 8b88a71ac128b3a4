#!/usr/bin/env python3
"""Makes docs/conformance.md of the results of `run.py`.

    conformance.py RIVERRUN-RESULTS KAFKA-RESULTS PAGE [FORMER-PAGE]

The page holds nothing that differs from run to run: no times, no names with random parts. With a former page, the exit
code is 1 if a case that passed there on Riverrun fails now, or is gone.
"""

import json
import re
import sys

HEAD = """# Conformance

What the mainstream Kafka clients and tools can do against a standalone Riverrun broker, and, as the proof of each case,
against Apache Kafka {kafka}. Made by `cargo xtask interop`, which CI runs: a case that passes on
this page and no longer does fails the build. The cases are in `tests/interop`: `cases.py`, `secured.py`, `tools.py`,
`operations.py`, `jobs.py` and `crash.py`.

| client | version | passes on Riverrun | passes on Apache Kafka |
|---|---|---|---|
"""


def load(path):
    with open(path) as file:
        return json.load(file)


def mark(failure):
    return "pass" if failure is None else "**fail**"


def stable(reason):
    """A reason without what is random in it."""
    reason = re.sub(r"\b([a-z-]+)-[0-9a-f]{8}\b", r"\1-…", reason)
    reason = re.sub(r"127\.0\.0\.1:\d+", "the broker", reason)
    reason = re.sub(r"\b1[78]\d{11}\b", "…", reason)
    return reason.replace("|", "\\|").replace("\n", " ")


def page(ours, kafkas):
    proof = {(row["client"], row["case"]): row["failure"] for row in kafkas}
    kafka = next((row["version"] for row in kafkas if row["client"] == "java"), "4.3")
    clients = list(dict.fromkeys((row["client"], row["version"]) for row in ours))
    out = [HEAD.format(kafka=kafka)]
    for client, version in clients:
        cases = [row for row in ours if row["client"] == client]
        passed = sum(row["failure"] is None for row in cases)
        proved = sum(proof.get((client, row["case"]), "not run") is None for row in cases)
        out.append(f"| {client} | {version} | {passed} of {len(cases)} | {proved} of {len(cases)} |\n")
    for client, version in clients:
        out.append(f"\n## {client} {version}\n\n| case | Riverrun | Apache Kafka | reason |\n|---|---|---|---|\n")
        for row in (row for row in ours if row["client"] == client):
            kafka_failure = proof.get((client, row["case"]), "not run")
            reasons = [f"{who}: {stable(why)}" for who, why in (("Riverrun", row["failure"]), ("Kafka", kafka_failure)) if why]
            out.append(f"| {row['case']} | {mark(row['failure'])} | {mark(kafka_failure)} | {'; '.join(reasons)} |\n")
    return "".join(out)


def passing(text):
    """The cases of a page that pass on Riverrun, whatever the versions of the clients."""
    found, client = set(), None
    for line in text.splitlines():
        if line.startswith("## "):
            client = line[3:].rsplit(" ", 1)[0].split(" (")[0].rstrip(" 0123456789.")
        cells = [cell.strip() for cell in line.split("|")]
        if client and len(cells) > 3 and cells[2] == "pass":
            found.add((client, cells[1]))
    return found


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    made = page(load(sys.argv[1]), load(sys.argv[2]))
    with open(sys.argv[3], "w") as file:
        file.write(made)
    if len(sys.argv) == 5:
        with open(sys.argv[4]) as file:
            lost = passing(file.read()) - passing(made)
        for client, case in sorted(lost):
            print(f"passed before, and does not now: {client}: {case}")
        sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
