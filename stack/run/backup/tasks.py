"""The tasks that take a whole stack along."""

from invoke import Context

from stack.cli import JSON_HELP, verb


@verb(
    "file",
    help={
        "file": "where to; a name with project and time in this folder if left out",
        "passphrase-file": "a file with the passphrase; else the variable TIDEGATE_PASSPHRASE, or you are asked",
        "no-images": "leave the functions' images out: a deploy builds them again",
        "verify": "restore it into a throwaway project, and compare",
        "force": "replace a file that is there",
        **JSON_HELP,
    },
)
def backup(
    _: Context,
    file: str = "",
    passphrase_file: str = "",
    no_images: bool = False,
    verify: bool = False,
    force: bool = False,
    json: bool = False,
) -> None:
    """Write functions, revisions, secrets, broker and messages into one file; the stack goes on meanwhile."""
    from stack.run.backup.backup import BackupRequest, back_up_and_print

    request = BackupRequest(file, passphrase_file, not no_images, force)
    back_up_and_print(request, verify=verify, as_json=json)


@verb(
    "file",
    help={
        "file": "what `backup` wrote",
        "passphrase-file": "a file with its passphrase; else the variable TIDEGATE_PASSPHRASE, or you are asked",
        "force": "replace what is in the workspace; it is kept in .stack/replaced",
        "keep-settings": "go by the stack.yaml that is in the workspace, such as with other ports",
        "no-up": "do not start the stack",
    },
)
def restore(
    _: Context,
    file: str,
    passphrase_file: str = "",
    force: bool = False,
    keep_settings: bool = False,
    no_up: bool = False,
) -> None:
    """Make a stack of a backup again, on this machine or another, and start it."""
    from stack.run.backup.restore import RestoreRequest, restore_and_print

    request = RestoreRequest(force, keep_settings)
    restore_and_print(file, request, passphrase_file=passphrase_file, start=not no_up)
