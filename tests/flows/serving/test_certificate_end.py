"""What the service says of a TLS certificate that has ended or soon will."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from flows.serving.server import Address


def certificate(end: datetime) -> bytes:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    made = (
        x509.CertificateBuilder(name, name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(end - timedelta(days=90))
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    ("days", "said"),
    [(-1, "ended on {}: clients refuse it"), (5, "ends on {}: renew it"), (60, "")],
)
def test_the_end_of_a_certificate_is_told_at_the_start(
    tmp_path: Path, days: int, said: str
) -> None:
    end = datetime.now(UTC) + timedelta(days=days)
    cert = tmp_path / "cert.pem"
    cert.write_bytes(certificate(end) + certificate(end - timedelta(days=900)))  # with its chain
    told = Address("127.0.0.1", 8443, None, cert, tmp_path / "key.pem").describe()
    assert told.startswith("Listening on https://127.0.0.1:8443")
    assert ("certificate" in told) == bool(said)
    assert said.format(f"{end:%Y-%m-%d}") in told
