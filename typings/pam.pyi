"""python-pam, as far as Gatepost uses it (pam/__internals.py of python-pam 2.1.0)."""

class PamAuthenticator:
    code: int
    reason: str | bytes | None
    def authenticate(
        self,
        username: str | bytes,
        password: str | bytes,
        service: str | bytes = ...,
        *,
        resetcreds: bool = ...,
    ) -> bool: ...
