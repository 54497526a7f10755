#!/bin/sh
# Says how much mail is still held before the daemon goes: nothing would release it.
set -e

# An upgrade keeps the daemon: deb says "upgrade", rpm 1.
case "$1" in
upgrade | 1) exit 0 ;;
esac

held=$(recallctl --json stats 2>/dev/null | sed -n 's/.*"held":\([0-9]*\).*/\1/p') || held=
if [ -n "$held" ] && [ "$held" -gt 0 ]; then
	echo "recall-milter: $held messages are still held. They stay in Redis, and leave only by a daemon:" >&2
	echo "recall-milter: install it again, or release them first with: recallctl release --all --yes" >&2
fi
if [ -d /run/systemd/system ]; then
	systemctl --no-reload disable --now recall-milter.service >/dev/null 2>&1 || true
fi
