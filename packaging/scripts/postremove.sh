#!/bin/sh
# Redis's data is never deleted: it may be the only copy of mail. The secret goes with a purge; the seal
# key does not: without it that copy is worth nothing.
set -e

if [ "$1" = purge ]; then
	rm -f /etc/recall-milter/secret
	if [ -e /var/lib/redis/recall-milter/appendonlydir ]; then
		echo "recall-milter: /var/lib/redis/recall-milter and /etc/recall-milter/seal.keys are left: they may hold mail, and its key" >&2
	else
		rm -f /etc/recall-milter/seal.keys
	fi
	rmdir --ignore-fail-on-non-empty /etc/recall-milter 2>/dev/null || true
fi
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi
