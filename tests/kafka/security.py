"""Certificates and logins for a broker of tests: a CA of its own, a broker and a client certificate, one user.

    security = Security(folder)
    Broker(security=security)
    security.client("tls", broker.tls_port)      settings of Assay for mutual TLS
    security.client("PLAIN", broker.sasl_port)   for SASL over TLS; PLAIN, SCRAM-SHA-512 or OAUTHBEARER

Needs openssl, which ca-certificates brings.
"""

import subprocess
from pathlib import Path

USER, PASSWORD = "assay", "a-password-of-tests"
LOGIN = "org.apache.kafka.common.security"


class Security:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._authority()
        for name in ("broker", "client"):
            self._certificate(name)
        (self.folder / "password").write_text(PASSWORD + "\n")

    def path(self, name):
        return str(self.folder / name)

    def _openssl(self, *args):
        done = subprocess.run(["openssl", *args], capture_output=True, text=True, timeout=60, cwd=self.folder)
        if done.returncode != 0:
            raise RuntimeError(f"openssl {args[0]}: {done.stderr[-1000:]}")

    def _key(self, name):
        self._openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", f"{name}.key")

    def _authority(self):
        self._key("ca")
        self._openssl("req", "-x509", "-new", "-key", "ca.key", "-subj", "/CN=authority of tests", "-days", "2", "-out", "ca.pem")

    def _certificate(self, name):
        self._key(name)
        self._openssl("req", "-new", "-key", f"{name}.key", "-subj", f"/CN={name}", "-out", f"{name}.csr")
        (self.folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                      "-extfile", "names", "-out", f"{name}.pem")
        chain = [(self.folder / part).read_text() for part in (f"{name}.key", f"{name}.pem")]
        (self.folder / f"{name}-both.pem").write_text("".join(chain))

    def broker_properties(self):
        users = f'username="{USER}" password="{PASSWORD}" user_{USER}="{PASSWORD}"'
        sasl = "listener.name.sasl"
        return {"ssl.keystore.type": "PEM", "ssl.keystore.location": self.path("broker-both.pem"),
                "ssl.truststore.type": "PEM", "ssl.truststore.location": self.path("ca.pem"),
                "listener.name.tls.ssl.client.auth": "required",
                f"{sasl}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512,OAUTHBEARER",
                f"{sasl}.plain.sasl.jaas.config": f"{LOGIN}.plain.PlainLoginModule required {users};",
                f"{sasl}.scram-sha-512.sasl.jaas.config": f"{LOGIN}.scram.ScramLoginModule required;",
                f"{sasl}.oauthbearer.sasl.jaas.config":
                    f'{LOGIN}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";'}

    def format_options(self):
        return ["--add-scram", f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"]

    def client(self, way, port):
        """Settings of Assay: way is "tls", or a SASL mechanism."""
        settings = {"kafka.bootstrap.servers": f"localhost:{port}", "kafka.ssl.ca.location": self.path("ca.pem")}
        if way == "tls":
            return {**settings, "kafka.security.protocol": "SSL", "kafka.ssl.certificate.location": self.path("client.pem"),
                    "kafka.ssl.key.location": self.path("client.key")}
        settings |= {"kafka.security.protocol": "SASL_SSL", "kafka.sasl.mechanism": way}
        if way == "OAUTHBEARER":
            return {**settings, "kafka.enable.sasl.oauthbearer.unsecure.jwt": "true", "kafka.sasl.oauthbearer.config": f"principal={USER}"}
        return {**settings, "kafka.sasl.username": USER, "kafka.sasl.password": "file:" + self.path("password")}
