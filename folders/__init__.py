"""Where results lie: in a folder of this machine, or in an object store."""

from folders.places import Place, as_place, at_once, read_part
from folders.remote import Remote, RemoteError

__all__ = ["Place", "Remote", "RemoteError", "as_place", "at_once", "read_part"]
