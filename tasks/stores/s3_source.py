"""Images below a prefix of an S3 bucket; outside the core, which has no boto3.

A cache by bucket, key and ETag holds each fetched object, so that a killed ingest continues.
boto3 finds the credentials (`AWS_PROFILE`, `AWS_ACCESS_KEY_ID`, roles).
"""

import hashlib
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pneumo_core.atomic import replacing_file
from pneumo_core.errors import SourceError
from pneumo_core.params import IngestParams
from pneumo_core.sources.description import Description, Opening
from pneumo_core.sources.dicom_pixels import looks_like_dicom
from pneumo_core.sources.layout import (
    find_places,
    over_limits,
    require_placed,
    settle_places,
)
from pneumo_core.sources.notes import Notes
from pneumo_core.sources.source import SourceFile
from tasks.stores import buckets

ABOUT_THE_OBJECT = {"NoSuchKey", "404", "PreconditionFailed", "412", "InvalidObjectState"}
PLAIN_ETAG = re.compile(r"[0-9a-f]{32}")  # the MD5, unless a key management service encrypts


class S3Description(Description):
    kind: Literal["s3"]
    bucket: str
    prefix: str = ""
    endpoint_url: str | None = None  # of a store that is not Amazon's
    region: str | None = None

    def source(self, opening: Opening) -> "S3Source":
        return S3Source(self, opening.limits, opening.cache / "s3", opening.notes)


@dataclass(frozen=True)
class S3Object:
    key: str
    etag: str
    num_bytes: int


@dataclass(frozen=True)
class S3Source:
    wanted: S3Description
    limits: IngestParams
    cache: Path
    notes: Notes

    @property
    def address(self) -> str:
        return f"s3://{self.wanted.bucket}/{self.wanted.prefix}"

    def files(self) -> list[SourceFile]:
        """Return the images; raise SourceError if there are none, too many or no list."""
        client = self._client()
        listed = [each for each in self._list(client) if not each.key.endswith("/")]
        files = [(PurePosixPath(each.key), each) for each in listed]
        limits = self.limits
        placed, others = find_places(files, limits.class_names, limits.ignore, self.notes)
        require_placed(placed, others, self.address, self.notes)
        found = []
        for place, path, each in placed:
            read = partial(self._read, client, each)
            file = SourceFile(*place, each.num_bytes, read, origin="s3")
            found.append((len(path.parts), file))
        if excess := over_limits([file.num_bytes for _, file in found], self.limits):
            raise SourceError(f"{self.address} {excess}.")
        return settle_places(found, described_as=self.address)

    def _client(self) -> Any:
        from botocore.exceptions import BotoCoreError

        wanted = self.wanted
        try:
            return buckets.connect({"endpoint_url": wanted.endpoint_url, "region": wanted.region})
        except (BotoCoreError, ValueError) as error:  # a bad address is a ValueError
            raise self._refusal("cannot be listed", error) from error

    def _list(self, client: Any) -> list[S3Object]:
        from botocore.exceptions import BotoCoreError, ClientError

        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=self.wanted.bucket, Prefix=self.wanted.prefix
        )
        try:
            return [
                S3Object(each["Key"], each["ETag"].strip('"'), each["Size"])
                for page in pages
                for each in page.get("Contents", [])
            ]
        except (BotoCoreError, ClientError) as error:
            raise self._refusal("cannot be listed", error) from error

    def _refusal(self, what: str, error: Exception) -> SourceError:
        return SourceError(
            f"{self.address} {what}: {error}\n"
            "Check bucket, prefix, region and endpoint_url in the description, and the credentials "
            "(AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY). By hand: "
            f"aws s3 sync {self.address} FOLDER, then run again with --set ingest.source=FOLDER."
        )

    def _read(self, client: Any, wanted: S3Object) -> bytes:
        """Return the bytes of an object.

        Raises:
            OSError: the object is gone, changed since it was listed, or came damaged.
            SourceError: the store does not answer or refuses, or the cache has no room; the object
                may be sound, and the next run fetches it again.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        place = f"{self.wanted.endpoint_url}/{self.wanted.bucket}/{wanted.key}/{wanted.etag}"
        cached = self.cache / hashlib.sha256(place.encode()).hexdigest()
        if cached.is_file() and cached.stat().st_size == wanted.num_bytes:
            return cached.read_bytes()
        try:
            data = _fetch(client, self.wanted.bucket, wanted)
        except (BotoCoreError, ClientError) as error:
            if _is_about_the_object(error):
                raise OSError(f"S3 did not give it: {error}") from error
            raise self._refusal(f"does not give {wanted.key}", error) from error
        if not looks_like_dicom(data):  # its header belongs in no cache
            _keep(cached, data)
        return data


def _keep(cached: Path, data: bytes) -> None:
    try:
        with replacing_file(cached) as draft:
            draft.write_bytes(data)
    except OSError as error:
        raise SourceError(
            f"What came from S3 cannot be kept in {cached.parent}: {error}"
        ) from error


def _fetch(client: Any, bucket: str, wanted: S3Object) -> bytes:
    """Return the bytes; raise OSError if they are not those listed, and botocore's own errors."""
    answer = client.get_object(  # boto3 compares the bytes with the store's own checksum
        Bucket=bucket, Key=wanted.key, IfMatch=wanted.etag, ChecksumMode="ENABLED"
    )
    data: bytes = answer["Body"].read()
    if len(data) != wanted.num_bytes:
        raise OSError(f"S3 gave {len(data)} bytes, its list says {wanted.num_bytes}")
    etag_is_md5 = PLAIN_ETAG.fullmatch(wanted.etag) and not _is_encrypted_by_key_service(answer)
    if etag_is_md5 and hashlib.md5(data, usedforsecurity=False).hexdigest() != wanted.etag:
        raise OSError("the bytes from S3 do not match their ETag")
    return data


def _is_about_the_object(error: Exception) -> bool:
    """Return whether the error concerns this object, not the whole store."""
    from botocore.exceptions import ClientError, FlexibleChecksumError

    if isinstance(error, ClientError):
        return error.response["Error"]["Code"] in ABOUT_THE_OBJECT
    return isinstance(error, FlexibleChecksumError)


def _is_encrypted_by_key_service(answer: Any) -> bool:
    return "kms" in answer.get("ServerSideEncryption", "") or "SSECustomerAlgorithm" in answer
