"""Certificates of an authority of our own: good ones, and the kinds that must be refused."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

# How each is wrong: its names, and the days between which it holds (none: from now on).
KINDS = {
    "good": ("DNS:localhost,IP:127.0.0.1", ()),
    "wrong-host": ("DNS:elsewhere.example.org", ()),
    "expired": ("DNS:localhost,IP:127.0.0.1", ("20200101000000Z", "20200102000000Z")),
}
_CONFIGURATION = """
[ca]
default_ca = ours
[ours]
database = {folder}/index
new_certs_dir = {folder}
rand_serial = yes
unique_subject = no
default_md = sha256
default_days = 2
policy = any
copy_extensions = copy
[any]
commonName = optional
"""


@dataclass(frozen=True)
class Certificate:
    """The files of a certificate and its key."""

    chain: Path
    key: Path


class Authority:
    """Makes certificates with the program openssl."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "index").touch()
        (folder / "ca.cnf").write_text(_CONFIGURATION.format(folder=folder))
        self.file = self.self_signed("authority").chain

    def self_signed(self, name: str) -> Certificate:
        """Makes a certificate that vouches for itself alone."""
        return self._made("req", "-x509", "-days", "2", name=name, names=KINDS["good"][0])

    def signed(self, kind: str) -> Certificate:
        """Makes a certificate of one of the kinds, or one that is ``self-signed``."""
        if kind == "self-signed":
            return self.self_signed(kind)
        names, days = KINDS[kind]
        made = self._made("req", name=kind, names=names)
        command = ["openssl", "ca", "-batch", "-notext", "-config", str(self._folder / "ca.cnf")]
        command += ["-cert", str(self.file), "-keyfile", str(self._folder / "authority.key")]
        if days:
            command += ["-startdate", days[0], "-enddate", days[1]]
        chain = self._folder / f"{kind}.signed"
        _run([*command, "-in", str(made.chain), "-out", str(chain)])
        return Certificate(chain, made.key)

    def _made(self, *command: str, name: str, names: str) -> Certificate:
        files = Certificate(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        more = ["-subj", f"/CN={name}", "-addext", f"subjectAltName={names}"]
        written = ["-keyout", str(files.key), "-out", str(files.chain)]
        _run(["openssl", *command, *key, *more, *written])
        return files


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
