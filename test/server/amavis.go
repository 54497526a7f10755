package server

import (
	"fmt"
	"net"
	"path/filepath"
	"testing"
)

// StartAmavis starts an amavis that hands over what passes to nextHop, refuses spam from 6.31 points on, and returns
// its host:port. It keeps no connection: the MTA behind it may be started again meanwhile. Its SpamAssassin is s, and
// settings are further lines of its file.
func StartAmavis(t testing.TB, nextHop string, s SpamAssassin, settings string) string {
	t.Helper()
	dir, addr := openDir(t, "amavis"), FreeAddr(t)
	for _, sub := range []string{"tmp", "var", "db"} {
		own(t, "amavis", filepath.Join(dir, sub))
	}
	_, port, _ := net.SplitHostPort(addr)
	host, next, _ := net.SplitHostPort(nextHop)
	write(t, filepath.Join(dir, "amavisd.conf"), fmt.Sprintf(`use strict;
$daemon_user = $daemon_group = 'amavis';
$MYHOME = $helpers_home = '%[1]s';
$TEMPBASE = '%[1]s/tmp'; $db_home = '%[1]s/db'; $pid_file = '%[1]s/var/pid'; $lock_file = '%[1]s/var/lock';
$QUARANTINEDIR = undef;
$enable_db = $enable_global_cache = $enable_zmq = 0;
$DO_SYSLOG = 0; $LOGFILE = '%[1]s/var/log'; $log_level = 2;
$max_servers = 1;
$smtp_connection_cache_on_demand = $smtp_connection_cache_enable = 0;
$myhostname = 'gw.corp.test'; $mydomain = 'corp.test';
@mynetworks = ('127.0.0.0/8');
@local_domains_maps = (['.corp.test']);
$inet_socket_bind = '127.0.0.1'; $inet_socket_port = %[2]s;
$forward_method = 'smtp:[%[3]s]:%[4]s'; $notify_method = $forward_method;
$sa_local_tests_only = 1; $sa_siteconfigpath = '%[5]s'; $sa_userprefs_file = '%[5]s/user_prefs';
$sa_tag_level_deflt = -100; $sa_tag2_level_deflt = $sa_kill_level_deflt = 6.31;
$final_spam_destiny = $final_banned_destiny = D_REJECT;
@av_scanners = @av_scanners_backup = ();
@bypass_virus_checks_maps = (1);
%[6]s
1;
`, dir, port, host, next, s.dir, settings))
	startListener(t, addr, "amavisd", "-c", filepath.Join(dir, "amavisd.conf"), "foreground")
	return addr
}
