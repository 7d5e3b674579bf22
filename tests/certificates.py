"""Certificates that are created for each test."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
import ssl
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        """The certificate in the format that users paste."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def of_server(self) -> ssl.SSLContext:
        """Return the TLS context of a server with the certificate."""
        key = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        with TemporaryDirectory() as folder:
            file = Path(folder, "chain.pem")
            file.write_bytes(key + self.pem.encode())
            context.load_cert_chain(file)
        return context

    def of_client(self) -> ssl.SSLContext:
        """Return the TLS context of a client that trusts only this authority."""
        return ssl.create_default_context(cadata=self.pem)


def certify(
    address: str = "127.0.0.1",
    authority: Certificate | None = None,
    *,
    ended: timedelta = timedelta(days=-1),
) -> Certificate:
    """Return a certificate for an address. Without an authority, it is self-signed.

    `ended` is how long ago it expired.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    signer = authority.key if authority else key
    kind = "server" if authority else "authority"
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{kind} of a test")])
    end = datetime.now(UTC) - ended
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(authority.certificate.subject if authority else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - timedelta(days=30))
        .not_valid_after(end)
        .add_extension(
            x509.BasicConstraints(ca=authority is None, path_length=None), critical=True
        )
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]),
            critical=False,
        )
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
            critical=False,
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=authority is None,
                crl_sign=authority is None,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(signer, hashes.SHA256())
    )
    return Certificate(certificate, key)
