#!/bin/sh
# Redis's data is never deleted: it may be the only copy of mail. The secret goes with a purge.
set -e

if [ "$1" = purge ]; then
	rm -f /etc/recall-milter/secret
	rmdir --ignore-fail-on-non-empty /etc/recall-milter 2>/dev/null || true
	if [ -e /var/lib/redis/recall-milter/appendonlydir ]; then
		echo "recall-milter: /var/lib/redis/recall-milter is left: it may hold mail" >&2
	fi
fi
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi
