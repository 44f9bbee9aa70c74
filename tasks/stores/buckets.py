"""Pneumo's own access to S3; DVC and MLflow have theirs.

boto3 finds credentials (`AWS_PROFILE`, `AWS_ACCESS_KEY_ID`, roles) and the address of a store that
is not Amazon's (`AWS_ENDPOINT_URL_S3`), unless the caller gives others.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pneumo_core.errors import StoreError

ADDRESS = re.compile(r"s3://(?P<bucket>[^/]+)/?(?P<prefix>.*)")
PROBE = ".pneumo-preflight"
CHUNK_BYTES = 1 << 20
ABSENT = {"NoSuchKey", "404"}
ALREADY_THERE = {"PreconditionFailed", "412"}

Access = Mapping[str, str | None]  # endpoint_url, region, profile, ... instead of boto3's own


def connect(access: Access, read_timeout_s: float = 20) -> Any:
    """Return a client with timeouts of seconds.

    Raises:
        BotoCoreError, ValueError: the access settings are not valid.
    """
    import boto3
    from botocore.config import Config

    patience = Config(
        connect_timeout=3,
        read_timeout=read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": 3},
        response_checksum_validation="when_required",  # the caller compares what comes
    )
    return boto3.session.Session(profile_name=access.get("profile")).client(
        "s3",
        endpoint_url=access.get("endpoint_url"),
        region_name=access.get("region"),
        aws_access_key_id=access.get("access_key_id"),
        aws_secret_access_key=access.get("secret_access_key"),
        aws_session_token=access.get("session_token"),
        config=patience,
    )


@dataclass(frozen=True)
class Folder:
    """All keys of a bucket that begin with a prefix; a name is the rest of the key."""

    address: str  # s3://bucket/prefix
    access: Access = field(default_factory=dict, repr=False)
    read_timeout_s: float = 20

    def __truediv__(self, name: str) -> "Folder":
        return Folder(f"{self.address.rstrip('/')}/{name}", self.access, self.read_timeout_s)

    @cached_property
    def _place(self) -> tuple[str, str]:
        match = ADDRESS.fullmatch(self.address)
        if match is None:
            raise StoreError(
                f"{self.address} is not the address of a bucket: expected s3://BUCKET/PREFIX."
            )
        prefix = match["prefix"].strip("/")
        return match["bucket"], f"{prefix}/" if prefix else ""

    @cached_property
    def _client(self) -> Any:
        return connect(self.access, self.read_timeout_s)

    def _object(self, name: str) -> dict[str, str]:
        bucket, prefix = self._place
        return {"Bucket": bucket, "Key": f"{prefix}{name}"}

    def require_writable(self) -> None:
        """Put a small object there, read it and delete it.

        Raises:
            StoreError: one of these is refused or takes too long.
        """
        with self._explained("be written to"):
            self._client.put_object(**self._object(PROBE), Body=b"pneumo")
            answer = self._client.get_object(**self._object(PROBE))["Body"].read()
            self._client.delete_object(**self._object(PROBE))
        if answer != b"pneumo":
            raise StoreError(f"{self.address} returns other bytes than it got.")

    def names(self) -> set[str]:
        bucket, prefix = self._place
        with self._explained("be listed"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=bucket, Prefix=prefix
            )
            keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
        return {key.removeprefix(prefix) for key in keys}

    def versions(self) -> set[tuple[str, str]]:
        """Return name and version of all objects, also of those that were overwritten or deleted.

        A bucket that keeps no versions has one of each.
        """
        bucket, prefix = self._place
        with self._explained("be listed with its versions"):
            pages = self._client.get_paginator("list_object_versions").paginate(
                Bucket=bucket, Prefix=prefix
            )
            found = [each for page in pages for each in page.get("Versions", [])]
        return {(each["Key"].removeprefix(prefix), each["VersionId"]) for each in found}

    def read_version(self, name: str, version: str) -> bytes:
        with self._explained(f"give {name}"):
            answer = self._client.get_object(**self._object(name), VersionId=version)
            data: bytes = answer["Body"].read()
        return data

    def delete_version(self, name: str, version: str) -> None:
        with self._explained(f"delete {name}"):
            self._client.delete_object(**self._object(name), VersionId=version)

    def upload(self, name: str, path: Path) -> None:
        """Upload a file; the store checks the bytes by their SHA-256."""
        bucket, key = self._object(name).values()
        with self._explained(f"take {name}"):
            self._client.upload_file(
                str(path), bucket, key, ExtraArgs={"ChecksumAlgorithm": "SHA256"}
            )

    def create(self, name: str, data: bytes) -> bool:
        """Write an object and return True; return False if one of that name exists already."""
        from botocore.exceptions import ClientError

        with self._explained(f"take {name}"):
            try:
                self._client.put_object(
                    **self._object(name), Body=data, IfNoneMatch="*", ChecksumAlgorithm="SHA256"
                )
            except ClientError as error:
                if error.response["Error"]["Code"] in ALREADY_THERE:
                    return False
                raise
        return True

    def read(self, name: str) -> bytes | None:
        """Return the bytes; None if there is no such object."""
        chunks = self._chunks(name)
        return None if chunks is None else b"".join(chunks)

    def sha256(self, name: str) -> str | None:
        """Return the SHA-256 of the object, downloaded now; None if there is no such object."""
        chunks = self._chunks(name)
        if chunks is None:
            return None
        digest = hashlib.sha256()
        for chunk in chunks:
            digest.update(chunk)
        return digest.hexdigest()

    def _chunks(self, name: str) -> Iterator[bytes] | None:
        from botocore.exceptions import ClientError

        with self._explained(f"give {name}"):
            try:
                body = self._client.get_object(**self._object(name))["Body"]
            except ClientError as error:
                if error.response["Error"]["Code"] in ABSENT:
                    return None
                raise
        return self._body_chunks(name, body)

    def _body_chunks(self, name: str, body: Any) -> Iterator[bytes]:
        with self._explained(f"give {name}"):
            yield from body.iter_chunks(CHUNK_BYTES)

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (BotoCoreError, ClientError, Boto3Error, ValueError) as error:
            raise StoreError(
                f"{self.address} cannot {what}: {error}\n"
                "Check the bucket, that it has room, the credentials (AWS_PROFILE, or "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), and AWS_ENDPOINT_URL_S3 if the "
                "store is not Amazon's."
            ) from error
