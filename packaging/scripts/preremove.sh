#!/bin/sh
# Says what removing the daemon means for mail, while something can be done about it.
set -e

# An upgrade keeps the daemon: deb says "upgrade", rpm 1.
case "$1" in
remove | 0) ;;
*) exit 0 ;;
esac

stats=$(timeout 10 recallctl --json stats 2>/dev/null) || stats=
waiting=0
for state in held releasing; do
	n=$(echo "$stats" | sed -n 's/.*"'$state'":\([0-9]*\).*/\1/p')
	waiting=$((waiting + ${n:-0}))
done
if [ "$waiting" -gt 0 ]; then
	echo "recall-milter: messages that are still held: $waiting. They stay in the store, and leave only by a daemon:" >&2
	echo "recall-milter: install it again, and before you remove it: recallctl drain" >&2
fi
if command -v postconf >/dev/null && { postconf -h smtpd_milters non_smtpd_milters && postconf -P; } 2>/dev/null |
	grep -E '8890|recall-milter' | grep -q .; then
	echo "recall-milter: Postfix still asks it, and will refuse all mail for now (451) until you take it out of" >&2
	echo "recall-milter: smtpd_milters and non_smtpd_milters in main.cf or master.cf, and type: postfix reload" >&2
fi
if [ -d /run/systemd/system ]; then
	systemctl --no-reload disable --now recall-web.service >/dev/null 2>&1 || true
	systemctl --no-reload disable --now recall-milter.service >/dev/null 2>&1 || true
	# Its unit goes with us; its data stay.
	systemctl --no-reload disable --now recall-milter-store.service >/dev/null 2>&1 || true
fi
