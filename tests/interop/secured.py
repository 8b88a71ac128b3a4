"""Cases with security on: a broker with TLS, SASL and access rules, set up by the same `server.properties` whichever it is.
"""

import base64
import json
import os
import subprocess
import tempfile
import time

from brokers import ApacheKafka, Riverrun, free_port
from cases import records, same
from clients import Bootstrap, Confluent, unique

PASSWORDS = {"admin": ("SCRAM-SHA-512", "admin-secret"), "alice": ("SCRAM-SHA-512", "alice-secret"),
             "carol": ("SCRAM-SHA-256", "carol-secret")}
PLAIN = {"admin": "plain-admin-secret", "bob": "bob-secret"}
#: Those who may use what begins with `open-`, and nothing else.
ADMITTED = ["User:alice", "User:carol", "User:bob", "User:CN=interop", "User:dora"]
ISSUER, AUDIENCE = "https://issuer.interop", "riverrun-interop"


def _certificates(folder):
    """A certificate authority, and certificates by it for the broker and for a client."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj",
            "/CN=interop-ca")
    for name, subject in (("broker", "/CN=broker"), ("client", "/CN=interop")):
        with open(os.path.join(folder, f"{name}.ext"), "w") as file:
            file.write("subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", f"{name}.ext", "-out", f"{name}.pem")
        with open(os.path.join(folder, f"{name}.keystore.pem"), "w") as store:
            for part in (f"{name}.key", f"{name}.pem", "ca.pem"):
                with open(os.path.join(folder, part)) as file:
                    store.write(file.read())


def _base64url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Issuer:
    """Signs tokens (RS256) and publishes its key as a file."""

    def __init__(self, folder):
        self.key, self.keys = os.path.join(folder, "issuer.key"), os.path.join(folder, "jwks.json")
        self._openssl("genrsa", "-out", self.key, "2048")
        modulus = self._openssl("rsa", "-in", self.key, "-noout", "-modulus").decode().strip().split("=")[1]
        key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "interop", "n": _base64url(bytes.fromhex(modulus)), "e": "AQAB"}
        with open(self.keys, "w") as file:
            json.dump({"keys": [key]}, file)

    @staticmethod
    def _openssl(*arguments, given=None):
        return subprocess.run(["openssl", *arguments], input=given, check=True, capture_output=True).stdout

    def token(self, subject, seconds=3600, audience=AUDIENCE):
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": audience, "sub": subject, "iat": now - 10, "exp": now + seconds, "scope": "kafka"}
        parts = [{"alg": "RS256", "typ": "JWT", "kid": "interop"}, claims]
        signed = ".".join(_base64url(json.dumps(part).encode()) for part in parts)
        signature = self._openssl("dgst", "-sha256", "-sign", self.key, given=signed.encode())
        return f"{signed}.{_base64url(signature)}", 1000 * (now + seconds)


class Secured:
    """The broker with security on, and who may come in how."""

    def __init__(self, broker):
        self.folder = tempfile.mkdtemp(prefix="interop-tls-")
        _certificates(self.folder)
        self.issuer, self.strange_refused = Issuer(self.folder), False
        keys = f"file://{self.issuer.keys}"
        os.environ["KAFKA_OPTS"] = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={keys}"
        self.tls_port = free_port()
        kind = Riverrun if broker.name == Riverrun.name else ApacheKafka
        self.broker = kind(broker.binary if kind is Riverrun else broker.script, self._settings, PASSWORDS)
        self.broker.start()
        try:
            self._rules()
        except BaseException:
            self.broker.stop()
            raise

    def _file(self, name):
        return os.path.join(self.folder, name)

    def _settings(self, port):
        module = "org.apache.kafka.common.security"
        return {
            "process.roles": "broker,controller", "node.id": 1, "controller.quorum.voters": f"1@127.0.0.1:{port + 100}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"SASL_SSL://127.0.0.1:{port},SSL://127.0.0.1:{self.tls_port},CONTROLLER://127.0.0.1:{port + 100}",
            "advertised.listeners": f"SASL_SSL://127.0.0.1:{port},SSL://127.0.0.1:{self.tls_port}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL",
            "inter.broker.listener.name": "SSL",
            "ssl.keystore.type": "PEM", "ssl.keystore.location": self._file("broker.keystore.pem"),
            "ssl.truststore.type": "PEM", "ssl.truststore.location": self._file("ca.pem"),
            "listener.name.ssl.ssl.client.auth": "required",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": f"{module}.plain.PlainLoginModule required "
            + " ".join(f'user_{name}="{password}"' for name, password in PLAIN.items()) + ";",
            "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": f"{module}.scram.ScramLoginModule required;",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": f"{module}.scram.ScramLoginModule required;",
            "listener.name.sasl_ssl.oauthbearer.sasl.jaas.config": f"{module}.oauthbearer.OAuthBearerLoginModule required;",
            "listener.name.sasl_ssl.oauthbearer.sasl.server.callback.handler.class":
                f"{module}.oauthbearer.OAuthBearerValidatorCallbackHandler",
            "sasl.oauthbearer.jwks.endpoint.url": f"file://{self.issuer.keys}",
            "sasl.oauthbearer.expected.issuer": ISSUER, "sasl.oauthbearer.expected.audience": AUDIENCE,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:admin;User:CN=broker;User:ANONYMOUS",
            "group.initial.rebalance.delay.ms": 0,
        }

    def sasl(self, mechanism, user, password):
        return Bootstrap(self.broker.bootstrap, {"protocol": "SASL_SSL", "ca": self._file("ca.pem"), "mechanism": mechanism,
                                                 "user": user, "password": password})

    def scram(self, user):
        return self.sasl(PASSWORDS[user][0], user, PASSWORDS[user][1])

    def plain(self, user):
        return self.sasl("PLAIN", user, PLAIN[user])

    def token(self, user, **claims):
        token, until = self.issuer.token(user, **claims)
        return Bootstrap(self.broker.bootstrap, {"protocol": "SASL_SSL", "ca": self._file("ca.pem"),
                                                 "mechanism": "OAUTHBEARER", "token": token, "until": until})

    def certificate(self):
        return Bootstrap(f"127.0.0.1:{self.tls_port}", {
            "protocol": "SSL", "ca": self._file("ca.pem"), "cert": self._file("client.pem"), "key": self._file("client.key"),
            "keystore": self._file("client.keystore.pem")})

    def _rules(self):
        from confluent_kafka.admin import (AclBinding, AclOperation, AclPermissionType, ResourcePatternType, ResourceType)
        from clients import TIMEOUT
        admin = Confluent()._admin(self.scram("admin"))
        rules = [AclBinding(kind, "open-", ResourcePatternType.PREFIXED, who, "*", operation, AclPermissionType.ALLOW)
                 for who in ADMITTED
                 for kind, operation in ((ResourceType.TOPIC, AclOperation.READ), (ResourceType.TOPIC, AclOperation.WRITE),
                                         (ResourceType.GROUP, AclOperation.READ))]
        for done in admin.create_acls(rules).values():
            done.result(TIMEOUT)

    def topic(self, name):
        topic = unique(name)
        Confluent().create_topic(self.scram("admin"), topic, 1)
        return topic

    def refuses_strange_tokens(self):
        """Looked at once, since most clients try for half a minute before they give up."""
        if not self.strange_refused:
            strange = Confluent()._admin(self.token("dora", audience="another"))
            refused("a token for another audience", lambda: strange.list_topics(timeout=3))
            self.strange_refused = True

    def stop(self):
        self.broker.stop()


def _lets_in(client, broker, bootstrap):
    topic, sent = broker.secured.topic("open-topic"), records(50)
    client.produce(bootstrap, topic, sent)
    same(client, sent, client.consume(bootstrap, topic, len(sent), unique("open-group")))


# Debian's kcat fails both SCRAM cases on either broker: its librdkafka is from before 2.6.1, which mended its nonces.

def scram_sha_512(client, broker):
    """A SCRAM-SHA-512 user over TLS writes and reads what the rules admit."""
    _lets_in(client, broker, broker.secured.scram("alice"))


def scram_sha_256(client, broker):
    """So does a SCRAM-SHA-256 user."""
    _lets_in(client, broker, broker.secured.scram("carol"))


def sasl_plain(client, broker):
    """So does a PLAIN user."""
    _lets_in(client, broker, broker.secured.plain("bob"))


def mutual_tls(client, broker):
    """So does a client with a certificate."""
    _lets_in(client, broker, broker.secured.certificate())


def oauthbearer(client, broker):
    """So does the bearer of a token; a token for another audience lets nobody in."""
    _lets_in(client, broker, broker.secured.token("dora"))
    broker.secured.refuses_strange_tokens()


def refused(what, act):
    try:
        act()
    except Exception:
        return
    raise AssertionError(f"{what} was not refused")


def access_rules(client, broker):
    """What no rule admits can be neither written nor read."""
    topic, sent = broker.secured.topic("closed-topic"), records(5)
    as_admin, as_bob = broker.secured.plain("admin"), broker.secured.plain("bob")
    refused("writing without permission", lambda: client.produce(as_bob, topic, sent))
    client.produce(as_admin, topic, sent)
    try:
        got = client.consume(as_bob, topic, 1, unique("open-group"), wait=2.0)
    except Exception:
        got = []
    assert not got, f"read without permission: {got}"
    stored = Confluent().consume(as_admin, topic, len(sent) + 1, unique("group"), wait=3.0)
    assert len(stored) == len(sent), f"{len(stored)} records stored, of {len(sent)} that may be"


CASES = [scram_sha_512, scram_sha_256, sasl_plain, mutual_tls, oauthbearer, access_rules]
