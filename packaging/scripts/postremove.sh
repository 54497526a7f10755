#!/bin/sh
# Redis's data is never deleted: it may be the only copy of mail. The secret goes with a purge; the seal
# key does not while there is data: without it that copy is worth nothing.
set -e

if [ "$1" = purge ]; then
	# Its config is gone, and so is who could read what it has.
	if [ -d /run/systemd/system ]; then
		systemctl disable --now redis-server@recall-milter.service >/dev/null 2>&1 || true
	fi
	rm -f /etc/recall-milter/secret
	if [ -e /var/lib/recall-milter/redis/appendonlydir ]; then
		echo "recall-milter: /var/lib/recall-milter and /etc/recall-milter/seal.keys are left: they may hold mail, and its key" >&2
	else
		rm -f /etc/recall-milter/seal.keys
	fi
	rmdir --ignore-fail-on-non-empty /etc/recall-milter 2>/dev/null || true
fi
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi
