"""Phones of people, and the app's own look at one."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from experiments.reliability.machine.asking import Asking
from experiments.reliability.machine.drawn import LIMIT, METHOD, READER, SESSION, WHICH, WHICH_IF_ANY, WHO
from experiments.reliability.model.calls import Json

# What an installation's phone runs never changes.
_SYSTEMS = {"app 1": "android", "app 2": "ios"}
_INSTALLATION = st.sampled_from(sorted(_SYSTEMS))
_VERSION = st.sampled_from(["10", "11"])


class PhoneRules(Asking):
    """Phones of people, and the app's own look at one."""

    @rule(
        who=WHO,
        identity=WHICH,
        installation=st.one_of(st.none(), _INSTALLATION),
        metadata=st.fixed_dictionaries(
            {},
            optional={
                "device_manufacturer": st.sampled_from(["Apple", "Google"]),
                "device_model": st.sampled_from(["iPhone", "Pixel"]),
                "os_version": _VERSION,
                "operating_system": st.sampled_from(["ios", "android", "symbian"]),
            },
        ),
    )
    def create_sandbox_phone(self, who: str, identity: int | str, installation: str | None, metadata: Json) -> None:
        parameters: Json = {"user_identity_id": self.pick(who, identity, self.model.identities)}
        if installation is not None:
            parameters["custom_sdk_installation_id"] = installation
            metadata = {**metadata, "operating_system": _SYSTEMS[installation]}
        if metadata:
            parameters["phone_metadata"] = metadata
        self.ask(who, 0, "/phones/simulate/create_sandbox_phone", parameters)

    @rule(
        who=SESSION,
        installation=_INSTALLATION,
        metadata=st.one_of(
            st.none(),
            st.fixed_dictionaries(
                {},
                optional={"manufacturer": st.just("Nokia"), "model": st.just("3310"), "os_version": _VERSION},
            ),
        ),
        repeats=st.integers(1, 2),
    )
    def open_phone_session(self, who: str, installation: str, metadata: Json | None, repeats: int) -> None:
        parameters: Json = {"custom_sdk_installation_id": installation, "phone_os": _SYSTEMS[installation]}
        if metadata is not None:
            parameters["phone_device_metadata"] = metadata
        for _ in range(repeats):
            self.ask(who, 0, "/seam/mobile_sdk/v1/phone_sessions/get_or_create", parameters)

    @rule(who=WHO, method=METHOD, limit=LIMIT, owner=WHICH_IF_ANY, credential=WHICH_IF_ANY)
    def list_phones(
        self, who: str, method: int, limit: int | None, owner: int | str | None, credential: int | str | None
    ) -> None:
        parameters = self._filters(limit)
        if owner is not None:
            parameters["owner_user_identity_id"] = self.pick(who, owner, self.model.identities)
        if credential is not None:
            parameters["acs_credential_id"] = self.pick(who, credential, self.model.credentials)
        self.ask(who, method, "/phones/list", parameters)

    @precondition(lambda self: self.model.phones)
    @rule(who=READER, method=METHOD, phone=WHICH, path=st.sampled_from(["get", "deactivate"]))
    def get_or_deactivate_phone(self, who: str, method: int, phone: int | str, path: str) -> None:
        self.ask(who, method, f"/phones/{path}", {"device_id": self.pick(who, phone, self.model.phones)})
