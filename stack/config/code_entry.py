"""Where a function's code comes from, if not from its folder: Nuclio's code entry types."""

from typing import Literal

from pydantic import Field

from stack.config.document import NuclioDocument

CodeEntryType = Literal["", "sourceCode", "image", "archive", "git", "github", "s3"]


class CodeEntryAttributes(NuclioDocument):
    """What is needed to fetch the code; each type reads its own keys, as in Nuclio.

    archive: `headers`, `workDir`. git: one of `branch`, `tag` and `reference`, `username`, `password`, `workDir`.
    github: `branch`, `headers`, `workDir`. s3: `s3Bucket`, `s3ItemKey`, `s3Region`, its three credentials, `workDir`.
    `workDir` is the folder of the fetched tree that holds the function.
    """

    work_dir: str = ""
    headers: dict[str, str] = {}
    branch: str = ""
    tag: str = ""
    reference: str = ""
    username: str = ""
    password: str = ""
    s3_bucket: str = ""
    s3_item_key: str = ""
    s3_region: str = ""
    s3_access_key_id: str = ""
    s3_secret_access_key: str = ""
    s3_session_token: str = ""
    secret: str = Field("", pattern=r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$")
    """Tidegate's own: a secret whose keys stand in for what is not written here, such as password or a header."""
