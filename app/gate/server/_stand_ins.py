"""Stand-ins for extensions that the embedded server's PostgreSQL was built without: written in SQL, for a throwaway
cluster.

Each has the name, the version, the functions and the properties of the real extension, so that a schema that uses it is
the same with either. They are copied beside the cluster's data, where any account that runs PostgreSQL can read them,
and PostgreSQL looks there after its own folder: an extension that it has itself is never replaced.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 spells its classes so

from app.gate.server._cluster import Cluster

FILES = Path(__file__).with_name("stand_ins") / "extension"
OLDEST_MAJOR = 18  # which introduced extension_control_path

# What each differs in. The others of their functions return what the real extension's do.
DIFFERENCES = {
    "pgcrypto": (
        "what crypt(), the functions that encrypt, and digests other than MD5, SHA-1 and SHA-2 return has the right form, and"
        " only the stand-in understands it; pgp_pub_decrypt() does not compare the keys"
    ),
    "uuid-ossp": "uuid_generate_v1() has a random node and not the network card's address",
}


def write_stand_ins(cluster: Cluster) -> dict[str, str]:
    """Write their files beside the cluster's data. Returns the server settings with which PostgreSQL finds them.

    Raises OSError.
    """
    folder = cluster.data.with_name("stand_ins")
    if cluster.binaries.major < OLDEST_MAJOR or os.pathsep in str(folder):
        return {}
    shutil.copytree(FILES, folder / FILES.name)
    for path in (folder, folder / FILES.name, *(folder / FILES.name).iterdir()):
        path.chmod(0o700 if path.is_dir() else 0o600)
        if cluster.account:
            os.chown(path, cluster.account.uid, cluster.account.gid)
    return {"extension_control_path": f"$system{os.pathsep}{folder}"}


def read_stand_ins(cursor: Cursor) -> dict[str, str]:
    """For each extension that CREATE EXTENSION takes from the stand-ins, what it differs in."""
    cursor.execute(
        "SELECT extension FROM unnest(%s) AS extension, pg_config AS shared"
        " WHERE current_setting('extension_control_path', true) LIKE '%%/stand_ins' AND shared.name = 'SHAREDIR'"
        " AND pg_stat_file(shared.setting || '/extension/' || extension || '.control', true) IS NULL",
        [list(DIFFERENCES)],
    )
    return {name: DIFFERENCES[name] for (name,) in cursor.fetchall()}
