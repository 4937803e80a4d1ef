"""TLS of PostgreSQL's protocol: the certificate that the first start makes, and one's own."""

import pathlib
import re
import stat
import subprocess

import psycopg
import pytest

import polder
from test_postgres_psycopg import address

KEYS = {
    "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "ecdsa": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "ecdsa 384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
}
AUTHORITY = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n"
SERVER = "basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n"


def openssl(folder: pathlib.Path, *arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def certify(folder: pathlib.Path, name: str, issuer: str | None, kind: str, extensions: str, digest: str = "sha256") -> None:
    """Makes a key and a certificate of it."""
    openssl(folder, "genpkey", *KEYS[kind], "-out", f"{name}.key")
    openssl(folder, "req", "-new", "-key", f"{name}.key", "-subj", f"/CN={name}", "-out", f"{name}.csr")
    (folder / f"{name}.ext").write_text(extensions)
    by = ["-CA", f"{issuer}.crt", "-CAkey", f"{issuer}.key", "-CAcreateserial"] if issuer else ["-signkey", f"{name}.key"]
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", *by, "-days", "30", f"-{digest}", "-extfile", f"{name}.ext", "-out", f"{name}.crt")


def chain(folder: pathlib.Path, kind: str, digest: str) -> pathlib.Path:
    """An authority, one below it, and the server's certificate with the chain up to the authority."""
    certify(folder, "root", None, kind, AUTHORITY, digest)
    certify(folder, "between", "root", kind, AUTHORITY, digest)
    certify(folder, "server", "between", kind, SERVER, digest)
    (folder / "chain.crt").write_text((folder / "server.crt").read_text() + (folder / "between.crt").read_text())
    return folder / "chain.crt"


def is_encrypted(server, **more) -> None:
    """A login over TLS whose certificate and name the client has checked."""
    wanted = {"host": "localhost", "hostaddr": "127.0.0.1", "sslmode": "verify-full", **more}
    with psycopg.connect(**address(server, **wanted)) as connection:
        assert connection.pgconn.ssl_in_use
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("kind, digest", [("rsa", "sha256"), ("rsa", "sha384"), ("rsa", "sha512"), ("ecdsa", "sha256"), ("ecdsa 384", "sha384")])
def test_ones_own_certificate(fresh, tmp_path, kind, digest):
    certificate = chain(tmp_path, kind, digest)
    server = fresh(None, "--tls-certificate", certificate, "--tls-key", tmp_path / "server.key").start()
    root = tmp_path / "root.crt"
    is_encrypted(server, sslrootcert=root)
    is_encrypted(server, sslrootcert=root, channel_binding="require")
    is_encrypted(server, sslrootcert=root, host="127.0.0.1")
    certify(tmp_path, "stranger", None, kind, AUTHORITY)
    for wrong in ({"sslrootcert": tmp_path / "stranger.crt"}, {"sslrootcert": root, "host": "elsewhere.example"}):
        with pytest.raises(psycopg.OperationalError, match="certificate"):
            is_encrypted(server, **wrong)
    # None of its own was made beside it.
    assert not list(server.data.glob("tls.*"))


def refused(*arguments: str) -> str:
    """What a start says that comes to nothing."""
    done = polder.run("up", "--http", "127.0.0.1:0", "--postgres", "127.0.0.1:0", *arguments, timeout=60)
    assert done.returncode not in (0, None), done
    told = (done.stdout + done.stderr).decode()
    assert "panicked" not in told, told
    return told


def test_certificates_that_are_none(tmp_path):
    certificate = chain(tmp_path, "ecdsa", "sha256")
    key, data = tmp_path / "server.key", tmp_path / "data"
    certify(tmp_path, "other", "root", "rsa", SERVER)
    (tmp_path / "empty").write_text("")
    (tmp_path / "text").write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    for one, another, words in [
        (tmp_path / "nosuch.crt", key, r"nosuch\.crt"),
        (certificate, tmp_path / "nosuch.key", r"nosuch\.key"),
        (certificate, tmp_path / "other.key", r"chain\.crt .*other\.key is the key of another one"),
        (certificate, tmp_path / "root.key", r"chain\.crt .*root\.key is the key of another one"),
        (tmp_path / "empty", key, "empty"),
        (tmp_path / "text", key, "text"),
        (certificate, tmp_path / "empty", "empty .*no key"),
        (certificate, tmp_path / "server.crt", r"server\.crt .*no key"),
        (key, certificate, r"server\.key .*no certificate"),
        (tmp_path, key, re.escape(str(tmp_path))),
    ]:
        told = refused("--data", data, "--tls-certificate", one, "--tls-key", another)
        assert re.search(words, told) and "TLS" in told, (one, another, told)
    for option, value, missing in [("--tls-certificate", certificate, "--tls-key"), ("--tls-key", key, "--tls-certificate")]:
        assert missing in refused("--data", data, option, value)


def test_the_certificate_of_the_first_start_stays(fresh):
    server = fresh().start()
    certificate, key = server.data / "tls.crt", server.data / "tls.key"
    before = (certificate.read_bytes(), key.read_bytes())
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    is_encrypted(server, sslrootcert=certificate, channel_binding="require")
    with pytest.raises(psycopg.OperationalError, match="certificate"):
        is_encrypted(server, sslrootcert=certificate, host="elsewhere.example")
    assert server.stop() == 0
    server.start()
    assert (certificate.read_bytes(), key.read_bytes()) == before and stat.S_IMODE(key.stat().st_mode) == 0o600
    is_encrypted(server, sslrootcert=certificate)
    # Another server has another one.
    other = fresh().start()
    assert (other.data / "tls.crt").read_bytes() != before[0]
    with pytest.raises(psycopg.OperationalError, match="certificate"):
        is_encrypted(other, sslrootcert=certificate)
    # Without its key a certificate is worth nothing: both are made anew.
    assert server.stop() == 0
    key.unlink()
    server.start()
    assert certificate.read_bytes() != before[0]
    is_encrypted(server, sslrootcert=certificate)


SECRET = re.compile(r"protocol: (.+), cipher: (.+), compression")
HOW = "SELECT ssl, version, cipher, bits FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_others_are_told_how_a_connection_is_encrypted(server, version):
    with psycopg.connect(**address(server, sslmode="disable"), autocommit=True) as plain, psycopg.connect(
            **address(server, sslmode="require", ssl_max_protocol_version=version), autocommit=True) as encrypted:
        assert plain.execute(HOW).fetchall() == [(False, None, None, None)]
        to = " ".join(f"{name}={value}" for name, value in address(server, sslmode="require", ssl_max_protocol_version=version).items())
        done = subprocess.run(["psql", to, "-XAt", "-c", "\\conninfo", "-c", HOW], capture_output=True, text=True, check=True)
        told, row = done.stdout.splitlines()[-2:]
        ssl, found, cipher, bits = row.split("|")
        # What the client's own library says.
        assert SECRET.search(told).groups() == (found, cipher) == (version, cipher)
        assert (ssl, bits) == ("t", "128" if "AES128" in cipher.replace("_", "") else "256")
        both = "SELECT pid, ssl FROM pg_stat_ssl WHERE pid = ANY (%s) ORDER BY ssl"
        numbers = [plain.info.backend_pid, encrypted.info.backend_pid]
        assert plain.execute(both, [numbers]).fetchall() == [(numbers[0], False), (numbers[1], True)]
        plain.execute("CREATE ROLE curious")
        plain.execute("SET ROLE curious")
        assert plain.execute(both, [numbers]).fetchall() == []
        plain.execute("RESET ROLE")
        plain.execute("DROP ROLE curious")
