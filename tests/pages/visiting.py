"""A browser that shows nothing: it sends forms, keeps cookies, and says where a change comes from."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from tests.pages.people import Person

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def there(self) -> str:
        """Where it leads."""
        return self.headers.get("location", "")


@dataclass
class Visitor:
    """One person's browser. ``foreign``: headers of a change that another site's page makes."""

    base: str
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **headers: str) -> Answer:
        """Ask for a page; redirects are not followed."""
        return self._asked("GET", path, None, headers)

    def post(self, path: str, form: Mapping[str, str] | None = None, **headers: str) -> Answer:
        """Send a form, as our own page does unless ``headers`` say something else."""
        parts = urlsplit(self.base)
        ours = {"Origin": f"{parts.scheme}://{parts.netloc}", "Sec-Fetch-Site": "same-origin"}
        return self._asked("POST", path, urlencode(form or {}), ours | headers)

    def sign_in(self, who: Person) -> Answer:
        """Sign in with name and password."""
        return self.post("/sign-in", {"name": who.name, "password": who.password})

    def _asked(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(self.base).netloc, timeout=30)
        sent = {"User-Agent": AGENT, "Accept": "text/html", **headers}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, path, body, {name: value for name, value in sent.items() if value})
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        for cookie in response.headers.get_all("Set-Cookie") or []:
            name, _, rest = cookie.partition("=")
            value = rest.partition(";")[0].strip('"')
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        return Answer(response.status, {key.lower(): value for key, value in response.headers.items()}, text)
