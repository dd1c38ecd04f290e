"""Makes clients of AWS's services, with the credentials and the proxy settings of the environment."""

import logging
from typing import Any

import botocore.session
from botocore.config import Config

from enrollment.aws.credentials import CredentialsOfContainer
from enrollment.settings import client_options, has_credentials_of_container

_NEVER = logging.CRITICAL + 1


def create_aws_client(service: str, config: Config) -> Any:
    """Return a new client of botocore, rather than of boto3, which imports more.

    Args:
        service: For instance ``sqs``.
        config: How the client sends requests.
    """
    # These libraries log the texts of exceptions, which may hold what must not be kept.
    for library in ("botocore", "urllib3"):
        logging.getLogger(library).setLevel(_NEVER)
    session = botocore.session.get_session()
    if has_credentials_of_container():
        session.register_component("credential_provider", CredentialsOfContainer())
    options = client_options()
    return session.create_client(service, config=config.merge(Config(**options.pop("config"))), **options)
