#!/bin/sh
# Makes the users, the secret and the seal key. It starts nothing that could hold mail: that is for "recallctl setup" or
# the administrator. It says nothing.
set -e

# deb says "configure" and the version that was there before, rpm how many there are now.
case "$1" in
configure) before=$2 ;;
1) before= ;;
2) before=some ;;
*) exit 0 ;; # deb: something was aborted, and all is as it was
esac

if command -v systemd-sysusers >/dev/null; then
	SYSTEMD_LOG_LEVEL=warning systemd-sysusers recall-milter.conf
fi

# own MODE FILE gives a file to root and the daemon. An administrator's own choice (dpkg-statoverride) stands.
own() {
	[ -e "$2" ] || return 0
	file=$2 owner=root:recall-milter mode=$1
	if command -v dpkg-statoverride >/dev/null && choice=$(dpkg-statoverride --list "${file%.new}"); then
		# shellcheck disable=SC2086 # OWNER GROUP MODE FILE, split into words
		set -- $choice
		owner=${1#\#}:${2#\#} mode=$3
	fi
	chown "$owner" "$file"
	chmod "$mode" "$file"
}

# Later versions leave what the administrator has made of it.
if [ -z "$before" ]; then
	own 0750 /etc/recall-milter
	own 0640 /etc/recall-milter/recall-milter.toml
	own 0640 /etc/recall-milter/store.conf
fi

# Made once, kept forever: marks, links and locks of mail that is already out are made with it.
if [ ! -e /etc/recall-milter/secret ]; then
	(umask 077 && head -c 32 /dev/urandom | base64 >/etc/recall-milter/secret.new)
	own 0640 /etc/recall-milter/secret.new
	mv /etc/recall-milter/secret.new /etc/recall-milter/secret
fi

# Held mail is sealed by default. Made once: a new key could not open what is held.
if [ ! -e /etc/recall-milter/seal.keys ]; then
	rm -f /etc/recall-milter/seal.keys.new
	recallctl key new /etc/recall-milter/seal.keys.new 2>/dev/null
	own 0640 /etc/recall-milter/seal.keys.new
	mv /etc/recall-milter/seal.keys.new /etc/recall-milter/seal.keys
fi

# Before it had a unit of its own, the store was Redis as redis-server@recall-milter.service (deb) or
# recall-milter-redis.service (rpm). Its data, its config and its place in the daemon's config move once.
elder=/var/lib/recall-milter/redis
if [ -d "$elder" ] && [ ! -e /var/lib/recall-milter/store ]; then
	running='' enabled=''
	if [ -d /run/systemd/system ]; then
		for unit in redis-server@recall-milter.service recall-milter-redis.service; do
			! systemctl --quiet is-enabled $unit 2>/dev/null || enabled=yes
			! systemctl --quiet is-active $unit || running=yes
			systemctl --quiet disable --now $unit 2>/dev/null || true
		done
		systemctl daemon-reload || true
	fi
	echo redis >"$elder/writer"
	chown -R recall-milter-store:recall-milter "$elder"
	mv "$elder" /var/lib/recall-milter/store
	# The shipped one is not needed any more; another one is an administrator's.
	conf=/etc/redis/redis-recall-milter.conf
	if [ -e $conf ] && ! md5sum $conf | grep -q ^6523298664e96f8463b165dddfc5d412; then
		sed '/^\(unixsocket\|pidfile\|dir\) /d' $conf >/etc/recall-milter/store.conf
	fi
	own 0640 /etc/recall-milter/store.conf
	[ "$1" != configure ] || rm -f $conf # rpm itself removes it
	sed -i 's#unix:/run/redis-recall-milter/redis-server.sock#unix:/run/recall-milter-store/store.sock#' /etc/recall-milter/recall-milter.toml
	[ -z "$enabled" ] || systemctl --quiet enable recall-milter-store.service || true
	[ -z "$running" ] || systemctl start recall-milter-store.service || true
fi

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
	# After an upgrade, what ran goes on with the new version, and what did not run stays as it is.
	if systemctl --quiet is-active recall-web.service && recall-web -t >/dev/null; then
		systemctl restart recall-web.service || true
	fi
	if systemctl --quiet is-active recall-milter.service; then
		if recall-milter -t >/dev/null; then
			systemctl restart recall-milter.service || true
		else
			echo "recall-milter: this version does not take the config, so the daemon of the version before goes on." >&2
			echo "recall-milter: correct it (recall-milter -t says where), then: systemctl restart recall-milter" >&2
		fi
	fi
fi
