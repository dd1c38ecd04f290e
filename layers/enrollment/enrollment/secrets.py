"""Secrets that are derived from a master secret, so that none is in the table.

The table's stream hands every item to a function, and backups hold them too.  So a secret that signs is never stored.
It is made anew from a master secret, an id and a version: a greater version is a new secret.
"""

import base64
import hmac


def derive(master: bytes, purpose: str, identifier: str, version: str) -> bytes:
    """Return a secret of 32 bytes.

    Args:
        master: The master secret.
        purpose: What the secret is for; secrets for different purposes have nothing in common.
        identifier: The id of what it belongs to.
        version: Its version.
    """
    return hmac.digest(master, f"{purpose}:{identifier}:{version}".encode(), "sha256")


def webhook_secret(master: bytes, webhook_id: str, version: str) -> str:
    """Return the secret that signs a webhook's deliveries, in the form of Standard Webhooks: ``whsec_…``.

    Args:
        master: The master secret of webhooks.
        webhook_id: The webhook.
        version: The secret's version.
    """
    return _standard(derive(master, "webhook", webhook_id, version))


def connector_secret(master: bytes, workspace_id: str, acs_system_id: str, version: str) -> str:
    """Return a secret that signs requests to a connector, in the form of Standard Webhooks: ``whsec_…``.

    Args:
        master: The master secret of connectors.
        workspace_id: The workspace.
        acs_system_id: The credential manager.
        version: The secret's version.
    """
    return _standard(derive(master, "connector", f"{workspace_id}:{acs_system_id}", version))


def _standard(secret: bytes) -> str:
    return f"whsec_{base64.b64encode(secret).decode()}"
