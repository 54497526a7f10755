#!/bin/sh
# rpm only: the users come before the files whose group they are. On Debian, postinstall.sh makes them.
set -e

# user NAME COMMENT makes a system user and a group of the same name.
user() {
	getent group "$1" >/dev/null || groupadd --system "$1"
	getent passwd "$1" >/dev/null ||
		useradd --system --gid "$1" --no-create-home --home-dir /nonexistent --shell /sbin/nologin --comment "$2" "$1"
}
user recall-milter "Recall Milter"
user recall-milter-store "Hold store of Recall Milter"
user recall-web "Page of Recall Milter"
