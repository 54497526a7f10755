#!/bin/sh
# Makes the user, the secret and the seal key. It starts nothing that could hold mail: that is for "recallctl setup" or the administrator.
set -e

case "$1" in
abort-*) exit 0 ;;
esac

if command -v systemd-sysusers >/dev/null 2>&1; then
	systemd-sysusers recall-milter.conf
elif ! getent passwd recall-milter >/dev/null; then
	if command -v adduser >/dev/null 2>&1 && [ -e /etc/debian_version ]; then
		adduser --quiet --system --group --no-create-home --home /nonexistent recall-milter
	else
		useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /sbin/nologin recall-milter
	fi
fi

# An administrator's own choice of owner and mode stands (dpkg-statoverride).
own() {
	if command -v dpkg-statoverride >/dev/null 2>&1 && dpkg-statoverride --list "$2" >/dev/null 2>&1; then
		return
	fi
	chown root:recall-milter "$2"
	chmod "$1" "$2"
}
own 0750 /etc/recall-milter
own 0640 /etc/recall-milter/recall-milter.toml

# Made once, kept for ever: marks, links and locks of mail that is already out are made with it.
if [ ! -e /etc/recall-milter/secret ]; then
	(umask 077 && head -c 32 /dev/urandom | base64 >/etc/recall-milter/secret.new)
	mv /etc/recall-milter/secret.new /etc/recall-milter/secret
	own 0640 /etc/recall-milter/secret
fi

# Held mail is sealed by default. Made at the first installation only: a new key could not open what is held.
if [ ! -e /etc/recall-milter/seal.keys ]; then
	recallctl key new /etc/recall-milter/seal.keys 2>/dev/null
	own 0640 /etc/recall-milter/seal.keys
fi

if getent passwd redis >/dev/null && [ ! -e /var/lib/redis/recall-milter ]; then
	install -d -o redis -g redis -m 0750 /var/lib/redis/recall-milter
fi

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
	# After an upgrade: what ran goes on with the new version, and what did not run stays as it is.
	systemctl try-restart recall-milter.service || true
fi
