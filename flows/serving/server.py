"""Where the service listens, and what must be there before it listens to others."""

import functools
import ipaddress
import logging
import resource
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvicorn
from cryptography import x509
from fastapi import FastAPI

from flows.services import pages
from flows.serving import tokens
from flows.serving.connections import Listener, TimedProtocol
from pneumo_core.errors import PipelineError

MAX_CONNECTIONS = 512
RENEWAL = timedelta(days=21)  # before a certificate ends, when to say so
BACKLOG = 128  # accepted at a time, so that a crowd cannot push out a client before it is read


@dataclass(frozen=True)
class Address:
    host: str
    port: int
    token_file: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None

    @property
    def is_private(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:  # a name
            return self.host == "localhost"

    def require_usable(self) -> None:
        """Raise PipelineError if the port is taken, or tokens or the certificate cannot be used."""
        pages.require_free(self.host, self.port)
        if self.token_file is not None:
            tokens.read(self.token_file)
        elif not self.is_private:
            raise PipelineError(
                f"Others reach {self.host}: give --token-file FILE, made with "
                "'pneumo serve token NAME --token-file FILE', or listen on 127.0.0.1."
            )
        if (self.tls_cert is None) != (self.tls_key is None):
            raise PipelineError("--tls-cert and --tls-key go together: give both.")
        if self.tls_cert is not None:
            _require_pair(self.tls_cert, self.tls_key)

    def describe(self) -> str:
        scheme = "https" if self.tls_cert else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        text = f"Listening on {scheme}://{host}:{self.port}"
        if not self.is_private and self.tls_cert is None:
            text += " without TLS: tokens and films can be read on the way."
        return text if self.tls_cert is None else text + _renewal(self.tls_cert)


def run(app: FastAPI, address: Address) -> None:
    """Serve until a signal; log who asked for what if callers have names."""
    logging.basicConfig(format="%(asctime)s %(message)s")
    logging.getLogger("pneumo.access").setLevel(logging.INFO)
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = files == resource.RLIM_INFINITY  # a negative number
    most = MAX_CONNECTIONS if unlimited else min(MAX_CONNECTIONS, files // 2)
    listener = Listener(pages.listen(address.host, address.port), most)
    with suppress(KeyboardInterrupt):
        configured(app, address, listener).run(sockets=[listener])


def configured(app: FastAPI, address: Address, listener: Listener) -> uvicorn.Server:
    """Return the server, which `run(sockets=[listener])` starts."""
    config = uvicorn.Config(
        app,
        http=functools.partial(TimedProtocol, listener),  # type: ignore[arg-type]
        ws="none",
        loop="asyncio",  # accepts by the listener's method
        backlog=BACKLOG,
        log_level="error",  # of a stranger's malformed requests the log says nothing
        access_log=False,
        timeout_graceful_shutdown=10,
        ssl_certfile=address.tls_cert,
        ssl_keyfile=address.tls_key,
    )
    return uvicorn.Server(config)


def _require_pair(cert: Path, key: Path | None) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
    except OSError as error:  # which an SSLError is
        raise PipelineError(
            f"{cert} and {key} are not a certificate and its key in PEM format: {error}."
        ) from error


def _renewal(cert: Path) -> str:
    """Return a sentence on a certificate that has ended or soon will; else nothing."""
    end = x509.load_pem_x509_certificates(cert.read_bytes())[0].not_valid_after_utc
    left = end - datetime.now(UTC)
    if left > RENEWAL:
        return ""
    if left < timedelta():
        return f". Its certificate ended on {end:%Y-%m-%d}: clients refuse it."
    return f". Its certificate ends on {end:%Y-%m-%d}: renew it, and start the service again."
