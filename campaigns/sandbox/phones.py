"""The page on which a person looks at the phones the provider wrote to, and answers as one."""

from datetime import datetime
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

from aiohttp import web

from campaigns.sandbox.refusals import E164, MAX_BODY
from campaigns.sandbox.replies import Replies
from campaigns.sandbox.truth import Message, Reply, Truth

HERE = Path(__file__).parent
PAGE = Template((HERE / "page.html").read_text(encoding="utf-8"))
STYLE = (HERE / "page.css").read_text(encoding="utf-8")
PHONES_SHOWN = 200
BUBBLES_SHOWN = 200
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Phones:
    """The list of phones, one conversation, and the form to answer."""

    def __init__(self, truth: Truth, replies: Replies) -> None:
        self._truth = truth
        self._replies = replies

    def routes(self) -> list[web.RouteDef]:
        """Return the addresses."""
        return [
            web.get("/", self.latest),
            web.get("/page.css", self.style),
            web.get("/phones/{phone}", self.one),
            web.post("/phones/{phone}/replies", self.reply),
        ]

    async def style(self, request: web.Request) -> web.Response:
        """Serve the style sheet."""
        return web.Response(text=STYLE, content_type="text/css", headers=HEADERS)

    async def latest(self, request: web.Request) -> web.Response:
        """Show the phones, and the conversation of the one last active among them."""
        digits = _digits(request)
        return self._page(digits, phone=None)

    async def one(self, request: web.Request) -> web.Response:
        """Show the phones, and the conversation of the one asked for."""
        return self._page(_digits(request), phone=_phone(request))

    async def reply(self, request: web.Request) -> web.Response:
        """Write back as a phone."""
        _refuse_foreign(request)
        phone, form = _phone(request), await request.post()
        to, body = str(form.get("to", "")).strip(), str(form.get("body", ""))
        if not to or not body.strip() or len(body) > MAX_BODY:
            raise web.HTTPBadRequest(text="A reply needs a receiver and 1 to 1600 characters.")
        await self._replies.send(phone=phone, to=to, body=body)
        raise web.HTTPSeeOther(f"/phones/{phone}")

    def _page(self, digits: str, *, phone: str | None) -> web.Response:
        listed = self._truth.phones(digits=digits, limit=PHONES_SHOWN)
        shown = phone or (listed[0][0] if listed else None)
        said = self._truth.conversation(shown, limit=BUBBLES_SHOWN) if shown else []
        text = PAGE.substitute(
            totals=_totals(self._truth),
            digits=escape(digits),
            phones=_list(listed, shown=shown, digits=digits),
            phone=_card(shown, said, self._truth) if shown else _blank_card(),
        )
        return web.Response(text=text, content_type="text/html", headers=HEADERS)


def _digits(request: web.Request) -> str:
    return "".join(char for char in request.query.get("digits", "")[:40] if char in "0123456789")


def _phone(request: web.Request) -> str:
    """Return the number in the address; its form keeps every link safe to write out."""
    phone = request.match_info["phone"]
    if not E164.fullmatch(phone):
        raise web.HTTPNotFound(text="There is no such phone.")
    return phone


def _refuse_foreign(request: web.Request) -> None:
    """Refuse a form posted from another site: what a phone writes can withdraw a consent."""
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise web.HTTPForbidden(text="Replies come from this page only.")


def _totals(truth: Truth) -> str:
    totals = truth.totals()
    named = [
        ("accepted", totals["accepted"]),
        ("phones", totals["numbers"]),
        ("sent twice", totals["sent_twice"]),
        ("replies taken", totals["replies_sent"]),
    ]
    return "".join(f"<div><dt>{name}</dt><dd>{count:,}</dd></div>" for name, count in named)


def _list(listed: list[tuple[str, Message | Reply]], *, shown: str | None, digits: str) -> str:
    if not listed:
        return '<p class="none">No phone here yet.</p>'
    rows = (_row(phone, last, phone == shown, digits) for phone, last in listed)
    return f'<ul class="phones">{"".join(rows)}</ul>'


def _row(phone: str, last: Message | Reply, current: bool, digits: str) -> str:
    query = f"?digits={digits}" if digits else ""
    here = ' aria-current="page"' if current else ""
    who = "" if isinstance(last, Message) else '<span class="who">Phone:</span> '
    return (
        f'<li><a href="/phones/{phone}{query}"{here}>'
        f'<span class="number">{escape(phone)}</span>{_time(_moment(last))}'
        f'<span class="last">{who}{escape(last.body[:120])}</span></a></li>'
    )


def _card(phone: str, said: list[Message | Reply], truth: Truth) -> str:
    bubbles = "".join(_bubble(item, truth) for item in said)
    return (
        f'<h2><span class="visually-hidden">Phone </span>{escape(phone)}</h2>'
        f'<div class="talk" tabindex="0" role="group" aria-label="Conversation">'
        f'<ol class="bubbles">{bubbles or _empty()}</ol></div>'
        f"{_form(phone, said)}"
    )


def _blank_card() -> str:
    return '<h2>No phone</h2><div class="talk"><p class="none">Nothing sent yet.</p></div>'


def _empty() -> str:
    return '<li class="none">This phone has received nothing.</li>'


def _bubble(item: Message | Reply, truth: Truth) -> str:
    kind = "received" if isinstance(item, Message) else "written"
    return (
        f'<li class="{kind}"><p class="text">{escape(item.body)}</p>'
        f'<p class="note">{_note(item, truth)} · {_time(_moment(item))}</p></li>'
    )


def _note(item: Message | Reply, truth: Truth) -> str:
    if isinstance(item, Message):
        return f"{escape(item.sender)} · {escape(truth.status(item.sid))}"
    if item.arrived:
        return f"to {escape(item.to)} · arrived"
    reason = f"answer {item.answered}" if item.answered else "no answer"
    return f'to {escape(item.to)} · <strong class="lost">not taken, {reason}</strong>'


def _form(phone: str, said: list[Message | Reply]) -> str:
    sender = next((item.sender for item in reversed(said) if isinstance(item, Message)), "")
    return (
        f'<form class="reply" method="post" action="/phones/{phone}/replies">'
        '<label for="to">Reply to</label>'
        f'<input id="to" name="to" required autocomplete="off" value="{escape(sender)}">'
        '<label for="body">Text</label>'
        f'<textarea id="body" name="body" rows="2" required maxlength="{MAX_BODY}"></textarea>'
        "<button>Send</button></form>"
    )


def _moment(item: Message | Reply) -> str:
    return item.accepted_at if isinstance(item, Message) else item.sent_at


def _time(moment: str) -> str:
    shown = datetime.fromisoformat(moment).strftime("%d %b %H:%M:%S")
    return f'<time datetime="{escape(moment)}">{shown}</time>'
