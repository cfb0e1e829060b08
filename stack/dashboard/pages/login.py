"""The login page."""

from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from stack.dashboard.page import render
from stack.dashboard.security.auth import (
    PATH,
    TooManyAttempts,
    authenticator_of,
    begin_session,
    end_session,
    is_login_needed,
    user_of,
)
from stack.dashboard.security.session import OLD

_WRONG = "User or password is wrong. `invoke credentials` makes a new password."
_TOO_OLD = "This page was open for too long. Log in once more."
_TOO_MANY = "Too many wrong passwords; try again in a minute."


def routes() -> list[BaseRoute]:
    """Return the routes of the login."""
    return [
        Route(PATH, show_login),
        Route(PATH, log_in, methods=["POST"]),
        Route("/logout", log_out, methods=["POST"]),
    ]


async def show_login(request: Request) -> Response:
    """Show the login, but to who needs none."""
    if user_of(request) or not is_login_needed(request):
        return RedirectResponse(_find_next(request), 303)
    problem = _TOO_OLD if OLD in request.query_params else ""
    return render(request, "login.html", problem=problem, next=_find_next(request))


async def log_in(request: Request) -> Response:
    """Let the user in, and lead to where he wanted to go."""
    form = await request.form()
    user, password = (str(form.get(name, "")) for name in ("user", "password"))
    try:
        is_right = await authenticator_of(request).takes_password(
            user, password, request.client.host if request.client else ""
        )
    except TooManyAttempts:
        return render(request, "login.html", status=429, problem=_TOO_MANY, next=_find_next(request))
    if not is_right:
        return render(request, "login.html", status=401, problem=_WRONG, next=_find_next(request))
    await run_in_threadpool(begin_session, request)
    return RedirectResponse(_find_next(request), 303)


async def log_out(request: Request) -> Response:
    """End the session."""
    await run_in_threadpool(end_session, request)
    return RedirectResponse(PATH, 303)


def _find_next(request: Request) -> str:
    """Return a page of ours; an address of another site is passed over."""
    target = request.query_params.get("next", "/")
    parts = urlsplit(target)
    is_own = target.startswith("/") and not target.startswith(("//", "/\\")) and not parts.netloc and not parts.scheme
    return target if is_own and parts.path != PATH else "/"
