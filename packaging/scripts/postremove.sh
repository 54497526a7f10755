#!/bin/sh
# The store's data are never deleted: they may be the only copy of mail. The secret goes with a purge; the seal
# key does not while there are data: without it that copy is worth nothing.
set -e

if [ "$1" = purge ]; then
	rm -f /etc/recall-milter/secret
	# The copies that "recallctl setup" kept for a way back.
	for kind in before after; do
		rm -f /etc/postfix/main.cf.$kind-recall-milter[.-]* /etc/postfix/master.cf.$kind-recall-milter[.-]*
	done
	if [ -e /var/lib/recall-milter/store/appendonlydir ]; then
		echo "recall-milter: /var/lib/recall-milter and /etc/recall-milter/seal.keys are left: they may hold mail, and its key" >&2
	else
		rm -f /etc/recall-milter/seal.keys
	fi
	rmdir --ignore-fail-on-non-empty /etc/recall-milter 2>/dev/null || true
fi
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi
