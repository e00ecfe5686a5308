"""Opens what is left as a program would, and says the number of every commit that is there, one a line.

    python checker.py sqlite:///{dir}/store.db          python checker.py --cluster {dir}

Ends with 1 and the reason where a commit is there in half, or contents, indexes, histories or the change log are not
what ledger.py says. This is the CHECKER of the acceptance suite's crash.py.
"""

from __future__ import annotations

import argparse
import sys

from ledger import DEEP, Damaged, look_at

from limen import exc


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?")
    parser.add_argument("--cluster", help="folder of a PostgreSQL server's data; it is started, and stopped at the end")
    parser.add_argument("--deep", type=int, default=DEEP, help="so many of the newest steps with their whole history")
    options = parser.parse_args()
    cluster = None
    url = options.url
    if options.cluster:
        from cluster import Cluster

        cluster = Cluster(options.cluster).start()
        url = cluster.url
    try:
        found = look_at(url, options.deep)
    except (Damaged, exc.Error) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    finally:
        if cluster is not None:
            cluster.stop("immediate")
    print("\n".join(str(number) for number in sorted(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
