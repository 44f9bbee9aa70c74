"""`python -m flows.services.stores` makes the databases and the bucket that are missing.

The environment has POSTGRES_URL, MLFLOW_ARTIFACTS_DESTINATION and boto3's own variables.
"""

import os
from urllib.parse import urlsplit

import boto3
import psycopg
from botocore.exceptions import ClientError
from psycopg import sql

DATABASES = ("mlflow", "mlflow_users", "prefect")


def make_databases(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        there = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
        for name in DATABASES:
            if name not in there:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def make_bucket(artifacts: str) -> None:
    """Make the bucket of the artifacts, unless they are kept in a folder."""
    place = urlsplit(artifacts)
    if place.scheme != "s3":
        return
    client = boto3.client("s3")
    try:
        client.head_bucket(Bucket=place.netloc)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        client.create_bucket(Bucket=place.netloc)


if __name__ == "__main__":
    make_databases(os.environ["POSTGRES_URL"])
    make_bucket(os.environ["MLFLOW_ARTIFACTS_DESTINATION"])
