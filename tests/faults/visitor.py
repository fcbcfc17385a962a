"""An operator at the back office without a browser: signs in with both factors, presses buttons."""

import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.cookiejar import CookieJar
from urllib.parse import urlencode

from audit.models import Operator
from tests.conftest import PASSWORD
from tests.faults import scene
from tests.services import Stack

TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')


class Visitor:
    """A signed-in operator; the pages come from the stack's own web server."""

    def __init__(self, stack: Stack, operator: Operator) -> None:
        no_proxy = urllib.request.ProxyHandler({})
        cookies = urllib.request.HTTPCookieProcessor(CookieJar())
        self._opener = urllib.request.build_opener(no_proxy, cookies)
        self._url = stack.url
        self._page = self.look("/sign-in/")
        self._sign_in(operator)

    def _sign_in(self, operator: Operator) -> None:
        device = scene.give_authenticator(operator)
        self.post("/sign-in/", username=operator.username, password=PASSWORD)
        self.post("/sign-in/code/", code=f"{device.code().token():06}")
        assert "/sign-out/" in self._page, self._page

    def look(self, path: str) -> str:
        """The page at an address of the back office."""
        return self._read(urllib.request.Request(self._url + path))

    def post(self, path: str, **fields: str) -> str:
        """The page that answers a form, sent with the token of the page seen last."""
        token = TOKEN.search(self._page)
        assert token, self._page
        return self._send(path, {"csrfmiddlewaretoken": token[1], **fields})

    def _send(self, path: str, fields: Mapping[str, str]) -> str:
        return self._read(urllib.request.Request(self._url + path, urlencode(fields).encode()))

    def _read(self, request: urllib.request.Request) -> str:
        with self._opener.open(request, timeout=30) as answer:
            self._page = answer.read().decode()
        return self._page
