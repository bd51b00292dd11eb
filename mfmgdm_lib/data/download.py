"""HTTP requests with retries, a limit of size and errors that say what the server answered."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import requests
    from urllib3.util import Retry

__all__ = ["get"]

TRIES = 5  # while the answer is 429 or a passing failure of the server
BACKOFF = 1.0  # seconds; the waits are 0, 2, 4, 8, … times this, unless the server says how long to wait
LONGEST_WAIT = 120.0  # seconds in all; where a server asks for more, the caller gets an error at once
TIMEOUT = (10.0, 60.0)  # seconds without a connection, and without a byte
LARGEST = 50 * 2**20  # bytes; the longest daily series is below a hundredth of that
_MEND = (
    "Try again later, or put the series into a folder as a CSV file, and name the folder in the environment variable"
    " MFMGDM_DATA_DIR."
)


def get(url: str) -> bytes:
    """Return the body of what an address answers, which is empty where there is nothing to be had.

    Raises:
        ConnectionError: no answer, one that breaks off, or one that asks for patience or forgiveness for too long.
        ValueError: there is nothing by that address, or what is there is a web page or far too large.

    Example:
        >>> get("http://127.0.0.1:9/nothing-listens-here")
        Traceback (most recent call last):
        ConnectionError: http://127.0.0.1:9/nothing-listens-here could not be read (...
    """
    import requests
    from requests.adapters import HTTPAdapter

    try:
        with requests.Session() as session:
            for scheme in ("http://", "https://"):
                session.mount(scheme, HTTPAdapter(max_retries=_retries(url)))
            agent = {"User-Agent": "Mozilla/5.0 (compatible; mfmgdm_lib)"}
            with session.get(url, headers=agent, timeout=TIMEOUT, stream=True) as response:
                return _read(url, response)
    except requests.RequestException as error:
        # The reason is below the layers that only say that there was one.
        why = (getattr(error.args[0], "reason", None) if error.args else None) or error
        raise ConnectionError(
            f"{url} could not be read ({type(why).__name__}: {str(why)[:300]}); expected a whole answer. {_MEND}"
        ) from error


def _retries(url: str) -> Retry:
    """A policy that gives up, with the last answer, as soon as it would have to wait for too long."""
    from urllib3.exceptions import MaxRetryError
    from urllib3.util import Retry

    deadline = time.monotonic() + LONGEST_WAIT

    class Patience(Retry):
        def increment(self, *args: Any, **named: Any) -> Self:
            after = super().increment(*args, **named)
            response = named.get("response")
            asked = self.get_retry_after(response) if response is not None else None
            if time.monotonic() + (asked or after.get_backoff_time()) > deadline:
                raise MaxRetryError(named["_pool"], url)
            return after

    # Who is not connected should not wait to be told, hence one try more in these cases.
    statuses = (429, 500, 502, 503, 504)
    return Patience(
        TRIES - 1, connect=1, read=1, status_forcelist=statuses, backoff_factor=BACKOFF, raise_on_status=False
    )


def _read(url: str, response: requests.Response) -> bytes:
    if response.status_code == 204:
        return b""
    if response.status_code != 200:
        raise _refusal(url, response)
    body = bytearray()
    for part in response.iter_content(2**16):
        body += part
        if len(body) > LARGEST:
            raise ValueError(f"{url} answered with more than {LARGEST} bytes; expected a series of numbers. {_MEND}")
    # What the connection carried, before unpacking; not every version of urllib3 compares by itself.
    length, carried = response.headers.get("Content-Length", ""), response.raw.tell()
    if length.isdigit() and int(length) != carried:
        raise ConnectionError(f"{url} broke off after {carried} bytes; expected {length}. {_MEND}")
    kind = response.headers.get("Content-Type", "of no stated kind")
    if "html" in kind.lower() or body.lstrip()[:1] == b"<":
        raise ValueError(f"{url} answered with a web page ({kind}); expected data. {_MEND}")
    return bytes(body)


def _refusal(url: str, response: requests.Response) -> Exception:
    """What to raise for an answer that is none, with what it says."""
    text = " ".join(next(response.iter_content(300), b"").decode("utf-8", errors="replace").split())
    said = f" ({text})" if text and not text.startswith("<") else ""
    answer = f"{url} answered {response.status_code} {response.reason}{said}"
    if response.status_code in (400, 404):
        return ValueError(
            f"{answer}; expected a series by that name, with data in the window. Check the identifier and the window."
        )
    wait = response.headers.get("Retry-After")
    asked = f", asking to wait for {wait} s" if wait else ""
    return ConnectionError(f"{answer}{asked}; expected 200 OK within {TRIES} tries and {LONGEST_WAIT:g} s. {_MEND}")
