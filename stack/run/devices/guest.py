"""The account that everybody knows: it ends with the first device, or when passwords are made, after a warning."""

from stack import console
from stack.docker.stack import Stack, open_stack
from stack.rabbitmq.account_use import list_guests
from stack.state.credentials import make_account, make_credentials


def end_guest(stack: Stack) -> Stack:
    """Let no one in any more by the account that everybody knows, and return the stack without it.

    Devices with logins of their own would be for nothing beside it.
    """
    if not stack.credentials.is_guest:
        return stack
    _warn(stack, "lets no one in any more")
    make_account(stack.workspace)
    return stack.reread()


def _warn(stack: Stack, what: str) -> None:
    """Say what becomes of the account, and whom that concerns."""
    users = list_guests(stack)
    advice = "these need logins of their own, or that user's"
    using = f" Within a week it was used by {', '.join(users)}: {advice}." if users else ""
    console.warn(f"The account guest, which everybody knows, {what}.{using}")


def renew_credentials(*, is_for_dashboard: bool, is_for_gateway: bool, overlap: str) -> None:
    """Make random passwords; where the account guest ends by that, tell before who has used it.

    Raises:
        ConfigError: the overlap is no duration.
    """
    stack = open_stack(is_lenient=True)
    if stack.credentials.is_guest and not (is_for_dashboard or is_for_gateway):
        _warn(stack, "lets no one in any more from the next `invoke up` on")
    make_credentials(stack.workspace, is_for_dashboard=is_for_dashboard, is_for_gateway=is_for_gateway, overlap=overlap)
