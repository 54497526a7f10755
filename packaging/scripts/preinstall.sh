#!/bin/sh
# rpm only: the user comes before the files whose group it is. On Debian, postinstall.sh makes it.
set -e
getent group recall-milter >/dev/null || groupadd --system recall-milter
getent passwd recall-milter >/dev/null ||
	useradd --system --gid recall-milter --no-create-home --home-dir /nonexistent --shell /sbin/nologin \
		--comment "Recall Milter" recall-milter
